import type { Clock } from '../core/clock.ts';
import type { RootSealedStore } from '../domain/sealing/sealing-store.ts';
import type { Job } from './scheduler.ts';

/** Milliseconds after a rotation of the root key for which the old key still gives access to the new one. */
export const handoverLength = 10 * 60_000;

/** Every minute: ends the handover of a root key that has been the only one for a while. */
export function handoverJob({ clock, store }: { clock: Clock; store: RootSealedStore }): Job {
  let seen: { id: string; since: number } | undefined;
  return {
    name: 'root-key-handover',
    every: 60_000,
    async run() {
      const [key, ...others] = await store.rootKeys();
      if (key?.handover === undefined || others.length > 0) {
        seen = undefined;
        return;
      }
      if (seen?.id !== key.id) seen = { id: key.id, since: clock.monotonic() };
      if (clock.monotonic() - seen.since >= handoverLength) await store.endHandover(key.id);
    },
  };
}
