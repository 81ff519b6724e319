import type { Log } from '../core/log.ts';
import type { DueKey } from '../domain/keys/rotation.ts';
import type { Vault } from '../domain/vaults/vault.ts';
import type { Vaults } from '../domain/vaults/vaults.ts';
import type { Fence } from './lease-store.ts';
import type { Job } from './scheduler.ts';

/** Every minute: keys whose rotation policy says so get a new version, and those that near their expiry are marked. */
export function keysJob(deps: {
  vaults: Vaults;
  log: Log;
  runDue: (fence: Fence, vault: Vault) => AsyncIterable<DueKey>;
  /** Records a rotation for the auditors; nothing is rotated while that cannot be done. */
  audit: { assertWritable(): void; rotated(vault: Vault, key: DueKey): Promise<void> };
}): Job {
  return {
    name: 'keys',
    every: 60_000,
    async run(fence) {
      for (const vault of await deps.vaults.list()) {
        deps.audit.assertWritable();
        for await (const key of deps.runDue(fence, vault)) {
          const { what, error, ...which } = key;
          if (what === 'failed')
            deps.log.error('a key that is due cannot be seen to', { vault: vault.name, ...which, error });
          else deps.log.info(`key: ${what}`, { vault: vault.name, ...which });
          if (what === 'rotated') await deps.audit.rotated(vault, key);
          // Before the next one is begun.
          deps.audit.assertWritable();
        }
      }
    },
  };
}
