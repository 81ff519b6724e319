/** What is done for certificates with nobody present: orders go on, and what is due is renewed, told and marked. */
import type { Log } from '../core/log.ts';
import type { DueCertificate } from '../domain/certificates/renewal.ts';
import type { Vault } from '../domain/vaults/vault.ts';
import type { Fence } from './lease-store.ts';
import type { Job } from './scheduler.ts';

/** What a run goes through. */
export type DueKind = 'orders' | 'certificates';

export interface CertificateJobDeps {
  readonly log: Log;
  /** Vaults that have something to do, of orders or of certificates. */
  readonly vaultsWithDue: (what: DueKind) => Promise<readonly Vault[]>;
  readonly runDue: (what: DueKind, fence: Fence, vault: Vault) => AsyncIterable<DueCertificate>;
  /** Records new versions for the auditors; nothing is done while that cannot be. */
  readonly audit: {
    assertWritable(): void;
    issued(vault: Vault, certificate: DueCertificate): Promise<void>;
  };
}

/**
 * Orders go on every five seconds, since somebody may be waiting for them; renewals, letters and marks are looked for
 * every minute.
 */
export function certificateJobs(deps: CertificateJobDeps): Job[] {
  return [
    { name: 'certificate-orders', every: 5_000, run: (fence) => run(deps, 'orders', fence) },
    { name: 'certificates', every: 60_000, run: (fence) => run(deps, 'certificates', fence) },
  ];
}

async function run(deps: CertificateJobDeps, what: DueKind, fence: Fence): Promise<void> {
  for (const vault of await deps.vaultsWithDue(what)) {
    deps.audit.assertWritable();
    for await (const certificate of deps.runDue(what, fence, vault)) {
      const { what: outcome, error, ...which } = certificate;
      const fields = { vault: vault.name, ...which, ...(error !== undefined && { error }) };
      if (outcome === 'failed') deps.log.error('a certificate that is due cannot be seen to', fields);
      else if (outcome === 'notIssued') deps.log.warn('a certificate was not issued', fields);
      else if (outcome === 'stalled') deps.log.warn('a certificate is not renewed yet', fields);
      else deps.log.info(`certificate: ${outcome}`, fields);
      if (outcome === 'issued') await deps.audit.issued(vault, certificate);
      // Before the next one is begun.
      deps.audit.assertWritable();
    }
  }
}
