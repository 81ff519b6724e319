/** What a key has as a whole, whatever its version: its rotation policy and what jobs have announced. Kept as JSON. */
import type { ObjectVersion } from '../versioned/object-store.ts';
import {
  type LifecycleMarks,
  type LifecycleState,
  nextDue,
  type RotationLimits,
  type RotationPolicy,
  readRotationPolicy,
  storeRotationPolicy,
} from './rotation-policy.ts';

export interface KeyState {
  readonly policy: RotationPolicy | undefined;
  readonly marks: (LifecycleMarks & { readonly expires: number | undefined }) | undefined;
}

export function parseKeyState(text: string | undefined): KeyState {
  if (text === undefined) return { policy: undefined, marks: undefined };
  const { policy, marks } = JSON.parse(text) as { policy?: unknown; marks?: KeyState['marks'] };
  return { policy: policy === undefined ? undefined : readRotationPolicy(policy), marks };
}

export function formatKeyState({ policy, marks }: KeyState): string | undefined {
  if (policy === undefined && marks === undefined) return undefined;
  return JSON.stringify({ policy: policy && storeRotationPolicy(policy), marks });
}

/** Marks hold for the version and the expiry that they were made for. */
export function lifecycleOf({ policy, marks }: KeyState, version: ObjectVersion): LifecycleState {
  return { policy, version, marks: marks?.expires === version.expires ? marks : undefined };
}

export function keyDueAt(limits: RotationLimits, detail: string | undefined, version: ObjectVersion) {
  return nextDue(limits, lifecycleOf(parseKeyState(detail), version));
}
