/** What tests of certificates' jobs share: providers and mail relays that do what they are told, and times of lives. */
import { expect } from 'vitest';
import { certificateActions as actions } from '../../src/authorization/actions.ts';
import type { ShownCertificate } from '../../src/domain/certificates/certificate-types.ts';
import type {
  CertificateOrder,
  IssuerProvider,
  OrderStep,
} from '../../src/domain/certificates/issuer-provider.ts';
import type { LifetimeActionInput } from '../../src/domain/certificates/lifetime.ts';
import type { Mailer } from '../../src/domain/certificates/notices.ts';
import type { DueCertificate } from '../../src/domain/certificates/renewal.ts';
import { createObjectWriter } from '../../src/storage/objects.ts';
import { type CertificateDomain, outsideAuthority } from './certificate-domain.ts';

export const renewAt = (percentage: number): LifetimeActionInput => ({
  trigger: { percentage },
  type: 'AutoRenew',
});
export const mailAt = (percentage: number): LifetimeActionInput => ({
  trigger: { percentage },
  type: 'EmailContacts',
});

/** Sets the clock to a second. */
export function setTo({ clock, now }: CertificateDomain, seconds: number): void {
  clock.jump((seconds - now()) * 1000);
}

export function dates({ version }: ShownCertificate): { notBefore: number; expires: number } {
  const { notBefore, expires } = version;
  if (notBefore === undefined || expires === undefined) throw new Error('a certificate has its dates');
  return { notBefore, expires };
}

/** The second at which so much of a certificate's life is over. */
export function partOf(certificate: ShownCertificate, percentage: number): number {
  const { notBefore, expires } = dates(certificate);
  return notBefore + Math.floor(((expires - notBefore) * percentage) / 100);
}

export const whats = (done: readonly DueCertificate[]) => done.map(({ what }) => what);

export type Step = (order: CertificateOrder) => OrderStep | Promise<OrderStep>;

/** A provider that takes these steps, one after the other, and remembers its orders. */
export function scripted(...steps: Step[]) {
  const orders: CertificateOrder[] = [];
  const abandoned: CertificateOrder[] = [];
  const provider: IssuerProvider = {
    async advance(order) {
      const step = steps[orders.length];
      orders.push(order);
      if (step === undefined) throw new Error('nothing more was foreseen');
      return step(order);
    },
    async abandon(order) {
      abandoned.push(order);
    },
  };
  return { provider, orders, abandoned };
}

export function waiting(state: string, seconds = 0): Step {
  return () => ({ kind: 'waiting', state, seconds });
}

/** An authority outside the server, made when it is first asked, by the clock of the domain that is there by then. */
export function issuing(domain: () => CertificateDomain): Step {
  return async (order) => {
    const authority = await outsideAuthority(domain().clock);
    return { kind: 'issued', chain: await authority.issue(order) };
  };
}

/** Takes letters, or refuses them as it is told. */
export function letterBox(refuse: () => Error | undefined = () => undefined) {
  const letters: { to: readonly string[]; subject: string; text: string; id: string }[] = [];
  const mailer: Mailer = {
    async send(message) {
      const refusal = refuse();
      if (refusal !== undefined) throw refusal;
      letters.push(message);
    },
  };
  return { letters, mailer };
}

/** As somebody who can write to the database, and has no key: changes what stands in clear of the object `c`. */
export async function rewriteHead(
  { vault, domain }: CertificateDomain,
  kind: 'certificates' | 'pendingcertificates',
  change: (detail: string) => string,
): Promise<void> {
  const key = { vaultId: vault.id, kind, nameKey: 'C' };
  await createObjectWriter(domain.data.db).change(key, { version: undefined }, ({ head }) => {
    if (head?.detail === undefined) throw new Error('there is no such object');
    const detail = change(head.detail);
    expect(detail).not.toBe(head.detail);
    return { head: { ...head, detail }, result: undefined };
  });
}

/** The certificate `c`, disabled or enabled by another process. */
export function enableElsewhere(
  { elsewhere, grant }: CertificateDomain,
  enabled: boolean,
): Promise<ShownCertificate> {
  const unchanged = { version: undefined, tags: undefined, policy: undefined };
  return elsewhere.certificates.update(grant(actions.update, 'c'), { ...unchanged, enabled });
}

/** The certificate `c`, deleted by another process. */
export function deleteElsewhere({ elsewhere, grant }: CertificateDomain): Promise<ShownCertificate> {
  return elsewhere.certificates.delete(grant(actions.delete, 'c'));
}

export function pendingOf({ pending, grant }: CertificateDomain) {
  return pending.get(grant(actions.get, 'c'));
}
