/**
 * libuv's pool has four threads, and files and names need them too. So what keys do there is done in lanes: short calls
 * beside long ones, so that no signature waits for the generation of a key, and no file for a crowd of either.
 */
import { availableParallelism } from 'node:os';
import { createTurns, type Turns } from './turns.ts';

export interface PoolLanes {
  /** Calls of milliseconds: ML-DSA, new EC and ML-DSA pairs. RSA and ECDSA have a lane of their own in the engine. */
  readonly short: Turns;
  /** Calls of up to seconds: new RSA pairs, tests of primes. */
  readonly long: Turns;
}

const mostShort = 3;
const mostLong = 2;

export function createPoolLanes(): PoolLanes {
  const processors = availableParallelism();
  return {
    short: createTurns(Math.min(processors, mostShort)),
    long: createTurns(Math.max(1, Math.min(processors - 1, mostLong))),
  };
}
