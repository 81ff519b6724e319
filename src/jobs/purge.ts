import type { Log } from '../core/log.ts';
import type { Vaults } from '../domain/vaults/vaults.ts';
import type { Fence } from './lease-store.ts';
import type { Job } from './scheduler.ts';

/** Every minute: what was deleted and whose retention has ended is removed for good, in every vault. */
export function purgeJob(deps: {
  vaults: Vaults;
  log: Log;
  purgeDue: (fence: Fence, vaultId: string) => Promise<number>;
}): Job {
  return {
    name: 'purge',
    every: 60_000,
    async run(fence) {
      for (const vault of await deps.vaults.list()) {
        const purged = await deps.purgeDue(fence, vault.id);
        if (purged > 0) deps.log.info('deleted objects purged', { vault: vault.name, purged });
      }
    },
  };
}
