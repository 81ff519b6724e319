/** Rotation of keys: on demand, by the key's policy when its time comes, and what is announced of its expiry. */
import { keyActions as actions } from '../../authorization/actions.ts';
import { assertGranted, systemGrant } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import type { Vault, VaultGrant } from '../vaults/vault.ts';
import type { HeadAndVersion } from '../versioned/object-store.ts';
import { CurrentVersionChanged, type VersionedObjects } from '../versioned/versioned-objects.ts';
import { type Key, type KeyDeps, newKeyVersion, providerFor, toKey } from './key-objects.ts';
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

async function rotate(deps: Deps, grant: VaultGrant): Promise<Key> {
  for (;;) {
    const { head, version, value } = await deps.objects.readValue(grant, undefined);
    const { policy } = parseKeyState(head.detail);
    const { detail } = value;
    const by = providerFor(deps, grant.vault, detail.hsm);
    const made = await by.generate(detail.spec);
    const created = unixSeconds(deps.clock.now());
    const next = newKeyVersion(deps, made, {
      ...detail,
      enabled: true,
      notBefore: undefined,
      expires: expiresUnder(policy, created),
      tags: version.tags,
      by,
    });
    try {
      return toKey(await deps.objects.add(grant, { next, after: version.version }));
    } catch (error) {
      // Someone else has rotated or replaced it: the new version is to follow theirs.
      if (!(error instanceof CurrentVersionChanged)) throw error;
    }
  }
}

/** How many keys a job looks at in one go. */
const batch = 1000;

/** Does what is due with the keys of a vault, and answers what; one key's failure does not hold up the others. */
export async function runDueKeys(deps: Deps, vault: Vault): Promise<readonly DueKey[]> {
  const done: DueKey[] = [];
  for (const due of await deps.objects.listDue(vault.id, batch)) {
    const { name } = due.head;
    try {
      done.push(...(await runDueKey(deps, vault, due)));
    } catch (error) {
      done.push({ name, version: due.version.version, what: 'failed', error });
    }
  }
  return done;
}

async function runDueKey(deps: Deps, vault: Vault, { head, version }: HeadAndVersion): Promise<DueKey[]> {
  const now = unixSeconds(deps.clock.now());
  const target = { kind: 'keys' as const, name: head.name };
  const due = lifecycleDue(deps.limits, lifecycleOf(parseKeyState(head.detail), version));
  if (isDue(due.rotate, now)) {
    const rotated = await rotate(deps, systemGrant(vault, actions.rotate, target));
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
  await deps.objects.updateHead(grant, (detail, current) => {
    const state: KeyState = parseKeyState(detail);
    // Decided on what was listed: if the key has changed since, its due time is computed anew and nothing is marked.
    const isSame = current.version === version.version && current.expires === version.expires;
    return formatKeyState({ ...state, marks: isSame && what.length > 0 ? marks : state.marks });
  });
  return what.map((each) => ({ name: head.name, version: version.version, what: each }));
}

function isDue(time: number | undefined, now: number): boolean {
  return time !== undefined && time <= now;
}
