import type { Log } from '../core/log.ts';
import type { VaultRecord } from '../domain/vaults/vault.ts';
import type { Fence } from './lease-store.ts';
import type { Job } from './scheduler.ts';

/** Every minute: deleted vaults whose retention has ended, and those whose purge was cut short, are removed for good. */
export function purgeVaultsJob(deps: {
  log: Log;
  purgeDue: (fence: Fence) => AsyncIterable<VaultRecord>;
  /** Records a purge for the auditors; nothing is purged while that cannot be done. */
  audit: { assertWritable(): void; purged(vault: VaultRecord): Promise<void> };
}): Job {
  return {
    name: 'purge-vaults',
    every: 60_000,
    async run(fence) {
      deps.audit.assertWritable();
      for await (const vault of deps.purgeDue(fence)) {
        deps.log.info('deleted vault purged', { vault: vault.name });
        await deps.audit.purged(vault);
        deps.audit.assertWritable();
      }
    },
  };
}
