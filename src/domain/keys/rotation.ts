/** Rotation of keys: on demand, by the key's policy when its time comes, and what is announced of its expiry. */
import { keyActions as actions } from '../../authorization/actions.ts';
import { assertGranted, systemGrant } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import { isFailure } from '../../core/errors.ts';
import type { Vault, VaultGrant } from '../vaults/vault.ts';
import { keyNoun } from '../versioned/nouns.ts';
import type { HeadAndVersion } from '../versioned/object-store.ts';
import { assertNotManaged, ObjectChanged, type VersionedObjects } from '../versioned/versioned-objects.ts';
import { inheritedDetail, type Key, type KeyDeps, newKeyVersion, providerFor, toKey } from './key-objects.ts';
import { formatKeyState, type KeyState, lifecycleOf, parseKeyState } from './key-state.ts';
import type { OpenKey } from './open-key.ts';
import {
  expiresUnder,
  type LifetimeAction,
  lifecycleDue,
  lifetimeActions,
  nearExpiryAt,
  parseRotationPolicy,
  type RotationPolicy,
  type RotationPolicyInput,
} from './rotation-policy.ts';

/** A key's policy as it is shown; `policy` undefined: it was never set, and the default actions are shown. */
export interface ShownPolicy {
  readonly name: string;
  readonly policy: RotationPolicy | undefined;
  readonly actions: readonly LifetimeAction[];
}

/** What a job did with a key. */
export interface DueKey {
  readonly name: string;
  readonly version: string;
  readonly what: 'rotated' | 'nearExpiry' | 'expired' | 'failed';
  readonly error?: unknown;
}

export interface KeyRotation {
  /** Makes a new version of the same kind, with what the policy says of its expiry. */
  rotate(grant: VaultGrant): Promise<Key>;
  getPolicy(grant: VaultGrant): Promise<ShownPolicy>;
  setPolicy(grant: VaultGrant, input: RotationPolicyInput): Promise<ShownPolicy>;
}

interface Deps extends KeyDeps {
  readonly objects: VersionedObjects<OpenKey>;
}

export function createKeyRotation(deps: Deps): KeyRotation {
  const { objects, limits, clock } = deps;
  const shown = ({ head }: HeadAndVersion): ShownPolicy => {
    const { policy } = parseKeyState(head.detail);
    return { name: head.name, policy, actions: lifetimeActions(limits, policy) };
  };
  return {
    async rotate(grant) {
      assertGranted(grant, actions.rotate);
      return rotate(deps, grant);
    },
    async getPolicy(grant) {
      assertGranted(grant, actions.getRotationPolicy);
      return shown(await objects.readValue(grant, undefined));
    },
    async setPolicy(grant, input) {
      assertGranted(grant, actions.setRotationPolicy);
      const now = unixSeconds(clock.now());
      return shown(
        await objects.updateHead(grant, (detail, current) => {
          const { policy: was, marks } = parseKeyState(detail);
          const policy = parseRotationPolicy(input, { limits, was, now });
          // What was announced is announced again when the policy puts it off.
          const isAhead = (nearExpiryAt(policy, current) ?? 0) > now;
          return formatKeyState({ policy, marks: isAhead ? undefined : marks });
        }),
      );
    },
  };
}

/** On demand: what has changed while the key was made is what the new version is made from. */
async function rotate(deps: Deps, grant: VaultGrant): Promise<Key> {
  for (;;) {
    try {
      return await addRotated(deps, grant, await deps.objects.readValue(grant, undefined));
    } catch (error) {
      if (!(error instanceof ObjectChanged)) throw error;
    }
  }
}

/** Throws `ObjectChanged` if the key is not what the new version was made from, after what may be seconds. */
async function addRotated(deps: Deps, grant: VaultGrant, from: HeadAndVersion): Promise<Key> {
  // Before a key is made, which may take seconds.
  assertNotManaged(keyNoun, from.version, 'rotate');
  const { policy } = parseKeyState(from.head.detail);
  const detail = await inheritedDetail(deps.objects, grant, from.version);
  const by = providerFor(deps, grant.vault, detail.hsm);
  const made = await by.generate(detail.spec);
  const created = unixSeconds(deps.clock.now());
  const next = newKeyVersion(deps, made, {
    ...detail,
    enabled: true,
    notBefore: undefined,
    expires: expiresUnder(policy, created),
    tags: from.version.tags,
    by,
  });
  return toKey(await deps.objects.add(grant, { next, after: from }));
}

/**
 * Does what is due with the keys of a vault, and tells of each. One key's failure does not hold up the others; storage
 * that cannot be reached ends the run.
 */
export async function* runDueKeys(deps: Deps, vault: Vault): AsyncGenerator<DueKey> {
  for await (const due of deps.objects.listDue(vault.id)) {
    try {
      yield* await runDueKey(deps, vault, due);
    } catch (error) {
      // Who changed or deleted it meanwhile may have made it not due; if it still is, the next run sees it.
      if (error instanceof ObjectChanged || isFailure(error, 'keyNotFound')) continue;
      if (isFailure(error, 'unavailable')) throw error;
      yield { name: due.head.name, version: due.version.version, what: 'failed', error };
    }
  }
}

async function runDueKey(deps: Deps, vault: Vault, listed: HeadAndVersion): Promise<DueKey[]> {
  const { head, version } = listed;
  const now = unixSeconds(deps.clock.now());
  const target = { kind: 'keys' as const, name: head.name };
  const due = lifecycleDue(deps.limits, lifecycleOf(parseKeyState(head.detail), version));
  if (isDue(due.rotate, now)) {
    const rotated = await addRotated(deps, systemGrant(vault, actions.rotate, target), listed);
    return [{ name: head.name, version: rotated.version.version, what: 'rotated' }];
  }
  const what: DueKey['what'][] = [];
  if (isDue(due.nearExpiry, now) && !isDue(due.expired, now)) what.push('nearExpiry');
  if (isDue(due.expired, now)) what.push('expired');
  const marks = {
    version: version.version,
    expires: version.expires,
    nearExpiry: true,
    expired: isDue(due.expired, now),
  };
  const grant = systemGrant(vault, actions.update, target);
  let isMarked = false;
  await deps.objects.updateHead(grant, (detail, current) => {
    const state: KeyState = parseKeyState(detail);
    // Decided on what was listed: if the key has changed since, its due time is computed anew and nothing is marked.
    isMarked =
      detail === head.detail && current.version === version.version && current.expires === version.expires;
    return formatKeyState({ ...state, marks: isMarked && what.length > 0 ? marks : state.marks });
  });
  return isMarked ? what.map((each) => ({ name: head.name, version: version.version, what: each })) : [];
}

function isDue(time: number | undefined, now: number): boolean {
  return time !== undefined && time <= now;
}
