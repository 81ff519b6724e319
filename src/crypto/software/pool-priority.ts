/**
 * The threads of libuv's pool stand back behind the event loop. On a machine whose processors are all busy with signatures
 * a request would else wait for as long as Linux lets a thread run before it lets another: with RSA-4096 signed on every
 * processor, reads took 2.1 ms in the middle, and take 0.8 so, for as many signatures.
 */
import { readdir, readFile } from 'node:fs/promises';
import { constants, getPriority, setPriority } from 'node:os';
import type { Log } from '../../core/log.ts';

/** A third of the weight of the event loop's thread (sched(7)). Other processes are not asked for more than that. */
const steps = 5;
/** The kernel's text for it, which ends with a newline. */
const poolThread = 'libuv-worker\n';

/** Does nothing where threads have no priority of their own (setpriority(2)) or the pool's cannot be told; never rejects. */
export async function lowerPoolPriority(log: Log): Promise<void> {
  if (process.platform !== 'linux') return;
  try {
    const lower = Math.min(getPriority() + steps, constants.priority.PRIORITY_LOW);
    // The first use of the pool, which this is at the latest, starts all of its threads.
    for (const thread of await readdir('/proc/self/task')) {
      const name = await readFile(`/proc/self/task/${thread}/comm`, 'latin1');
      if (name === poolThread) setPriority(Number(thread), lower);
    }
  } catch (error) {
    log.debug('The threads that sign keep the priority of the event loop.', { error });
  }
}
