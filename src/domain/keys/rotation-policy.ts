/**
 * Rotation policies of keys: what a policy may say, what it makes of a version, and when a key next needs attention.
 * Pure rules; times are Unix seconds. Vaults and managed HSM pools differ in one row of limits.
 */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import type { ObjectVersion } from '../versioned/object-store.ts';
import {
  addDuration,
  comparableSeconds,
  type Duration,
  parseDuration,
  secondsPerDay,
  subtractDuration,
} from './durations.ts';

/** When to act: so long after a version's creation, or so long before its expiry. */
export type Trigger =
  | { readonly afterCreate: Duration; readonly beforeExpiry?: undefined }
  | { readonly beforeExpiry: Duration; readonly afterCreate?: undefined };

export interface RotationPolicy {
  /** When a new version is made; undefined: on demand only. */
  readonly rotate: Trigger | undefined;
  /** How long before the expiry the key counts as near it; undefined only where there are no events (pools). */
  readonly notifyBeforeExpiry: Duration | undefined;
  /** What a version made by rotation lives; undefined: it has no expiry. */
  readonly expiry: Duration | undefined;
  readonly created: number;
  readonly updated: number;
}

/** The API's form of an action; what is null, empty or absent is not given. */
export interface LifetimeAction {
  readonly trigger?:
    | {
        readonly timeAfterCreate?: string | null | undefined;
        readonly timeBeforeExpiry?: string | null | undefined;
      }
    | null
    | undefined;
  readonly action?: { readonly type?: string | null | undefined } | null | undefined;
}

/** A policy as a caller asks for it: nothing checked. */
export interface RotationPolicyInput {
  readonly lifetimeActions: readonly LifetimeAction[] | null | undefined;
  readonly expiryTime: string | null | undefined;
}

/** What a policy may say; lengths are seconds by `comparableSeconds`. */
export interface RotationLimits {
  /** The least `expiryTime`. */
  readonly leastExpiry: number;
  /** The least time between a version's creation and an action. */
  readonly leastAfterCreate: number;
  /** The least time between an action and the expiry. */
  readonly leastBeforeExpiry: number;
  /** Notify when the caller gives none; undefined where neither Notify nor events exist. */
  readonly defaultNotify: Duration | undefined;
}

const actionTypes: readonly (string | undefined)[] = ['rotate', 'notify'];

const days = (count: number) => count * secondsPerDay;

/** Without a policy's word, a key is near its expiry for its last 30 days (KeyNearExpiry event; policy never set). */
const defaultNotify: Duration = { text: 'P30D', months: 0, seconds: days(30) };

/** Azure's limits for vaults (LIMITS.md §5); that those of Rotate hold for Notify too is how its clients treat it. */
export const vaultRotationLimits: RotationLimits = {
  leastExpiry: days(28),
  leastAfterCreate: days(7),
  leastBeforeExpiry: days(7),
  defaultNotify,
};

/** Azure's limits for managed HSM pools (LIMITS.md §5): no more than one rotation in 28 days, no events. */
export const poolRotationLimits: RotationLimits = {
  leastExpiry: days(28),
  leastAfterCreate: days(28),
  leastBeforeExpiry: 0,
  defaultNotify: undefined,
};

/**
 * The policy that a caller asks for; throws a `badParameter` failure for one that breaks a rule of `limits`. It takes
 * the place of the one that was there: members that are not given go back to their defaults (no rotation, Notify 30
 * days before expiry, no expiry), an empty policy thus resets all of it, and only `created` is kept. That is what
 * clients of Azure rely on: they send an empty list to remove a policy, and expect a list to replace the other.
 */
export function parseRotationPolicy(
  { lifetimeActions, expiryTime }: RotationPolicyInput,
  context: { limits: RotationLimits; was: RotationPolicy | undefined; now: number },
): RotationPolicy {
  const { limits, was, now } = context;
  const expiry = parseExpiry(limits, expiryTime);
  const actions = lifetimeActions ?? [];
  if (actions.some((action) => !actionTypes.includes(typeOf(action))))
    throw badActions('The type of an action is Rotate or Notify.');
  const rotate = triggerOf(actions, 'rotate');
  const notify = triggerOf(actions, 'notify');
  return {
    rotate: rotate && checkedRotate(limits, rotate, expiry),
    notifyBeforeExpiry: notify ? checkedNotify(limits, notify, expiry) : limits.defaultNotify,
    expiry,
    created: was?.created ?? now,
    updated: now,
  };
}

function parseExpiry(limits: RotationLimits, text: string | null | undefined): Duration | undefined {
  if (isAbsent(text)) return undefined;
  const expiry = parseDuration(text);
  if (expiry === undefined) throw badExpiry(`expiryTime ${notDuration}`);
  if (comparableSeconds(expiry) < limits.leastExpiry)
    throw badExpiry(`expiryTime must be at least ${inDays(limits.leastExpiry)}.`);
  return expiry;
}

/** The trigger of the one action of this type that there may be; names compare without case. */
function triggerOf(actions: readonly LifetimeAction[], type: string): Trigger | undefined {
  const [action, another] = actions.filter((each) => typeOf(each) === type);
  if (another !== undefined) throw badActions('There can be one Rotate and one Notify.');
  return action && parseTrigger(action.trigger);
}

function typeOf({ action }: LifetimeAction): string | undefined {
  return action?.type?.toLowerCase();
}

function parseTrigger(trigger: LifetimeAction['trigger']): Trigger {
  const { timeAfterCreate, timeBeforeExpiry } = trigger ?? {};
  if (isAbsent(timeAfterCreate) === isAbsent(timeBeforeExpiry))
    throw badActions('An action has one trigger, timeAfterCreate or timeBeforeExpiry.');
  if (isAbsent(timeAfterCreate)) return { beforeExpiry: parseTime('timeBeforeExpiry', timeBeforeExpiry) };
  return { afterCreate: parseTime('timeAfterCreate', timeAfterCreate) };
}

function parseTime(name: string, text: string | null | undefined): Duration {
  const duration = isAbsent(text) ? undefined : parseDuration(text);
  if (duration === undefined) throw badActions(`${name} ${notDuration}`);
  return duration;
}

function checkedRotate(limits: RotationLimits, rotate: Trigger, expiry: Duration | undefined): Trigger {
  const { afterCreate, beforeExpiry } = rotate;
  if (beforeExpiry !== undefined) {
    checkBeforeExpiry(limits, { what: 'Rotate', beforeExpiry, expiry });
    return rotate;
  }
  const after = comparableSeconds(afterCreate);
  if (after < limits.leastAfterCreate)
    throw badActions(`Rotate must be at least ${inDays(limits.leastAfterCreate)} after creation.`);
  if (expiry !== undefined && after > comparableSeconds(expiry) - limits.leastBeforeExpiry)
    throw badActions(`Rotate must be at least ${inDays(limits.leastBeforeExpiry)} before expiry.`);
  return rotate;
}

/**
 * Notify needs an expiry, as Rotate before expiry does. The default is let through even so: a policy without expiry
 * shows it, and what was read can then be written back.
 */
function checkedNotify(
  limits: RotationLimits,
  { afterCreate, beforeExpiry }: Trigger,
  expiry: Duration | undefined,
): Duration {
  if (limits.defaultNotify === undefined) throw badActions('Notify is not supported here.');
  if (afterCreate !== undefined) throw badActions('timeAfterCreate is for Rotate only.');
  if (beforeExpiry.text !== limits.defaultNotify.text)
    checkBeforeExpiry(limits, { what: 'Notify', beforeExpiry, expiry });
  return beforeExpiry;
}

function checkBeforeExpiry(
  limits: RotationLimits,
  action: { what: string; beforeExpiry: Duration; expiry: Duration | undefined },
): void {
  const { what, expiry } = action;
  if (expiry === undefined) throw badActions(`${what} by timeBeforeExpiry needs an expiryTime.`);
  const before = comparableSeconds(action.beforeExpiry);
  if (before < limits.leastBeforeExpiry)
    throw badActions(`${what} must be at least ${inDays(limits.leastBeforeExpiry)} before expiry.`);
  if (before > comparableSeconds(expiry) - limits.leastAfterCreate)
    throw badActions(`${what} must be at least ${inDays(limits.leastAfterCreate)} after creation.`);
}

const notDuration = 'must be an ISO 8601 duration in whole numbers of at most 100 years, such as P90D.';

function badActions(what: string): Failure {
  return new Failure('badParameter', `Property lifetimeActions has invalid value\r\n${what}`);
}

function badExpiry(what: string): Failure {
  return new Failure('badParameter', `Property attributes has invalid value\r\n${what}`);
}

function isAbsent(text: string | null | undefined): text is '' | null | undefined {
  return text === undefined || text === null || text === '';
}

function inDays(seconds: number): string {
  return `${seconds / secondsPerDay} days`;
}

/**
 * A policy's actions in the API's form, Rotate before Notify; without a policy, those of one that was never set (vaults:
 * Notify 30 days before expiry; pools: none). `parseRotationPolicy` accepts what this gives.
 */
export function lifetimeActions(
  limits: RotationLimits,
  policy: RotationPolicy | undefined,
): LifetimeAction[] {
  const { rotate, notifyBeforeExpiry } = policy ?? {
    rotate: undefined,
    notifyBeforeExpiry: limits.defaultNotify,
  };
  const actions: LifetimeAction[] = [];
  if (rotate?.afterCreate !== undefined)
    actions.push({ trigger: { timeAfterCreate: rotate.afterCreate.text }, action: { type: 'Rotate' } });
  if (rotate?.beforeExpiry !== undefined)
    actions.push({ trigger: { timeBeforeExpiry: rotate.beforeExpiry.text }, action: { type: 'Rotate' } });
  if (notifyBeforeExpiry !== undefined)
    actions.push({ trigger: { timeBeforeExpiry: notifyBeforeExpiry.text }, action: { type: 'Notify' } });
  return actions;
}

const stored = v.object({
  rotateAfterCreate: v.optional(v.string()),
  rotateBeforeExpiry: v.optional(v.string()),
  notifyBeforeExpiry: v.optional(v.string()),
  expiry: v.optional(v.string()),
  created: v.number(),
  updated: v.number(),
});

/** A policy as plain JSON, for an object's `detail`. */
export type StoredRotationPolicy = v.InferOutput<typeof stored>;

export function storeRotationPolicy(policy: RotationPolicy): StoredRotationPolicy {
  const { rotate, notifyBeforeExpiry, expiry, created, updated } = policy;
  return {
    ...(rotate?.afterCreate && { rotateAfterCreate: rotate.afterCreate.text }),
    ...(rotate?.beforeExpiry && { rotateBeforeExpiry: rotate.beforeExpiry.text }),
    ...(notifyBeforeExpiry && { notifyBeforeExpiry: notifyBeforeExpiry.text }),
    ...(expiry && { expiry: expiry.text }),
    created,
    updated,
  };
}

/**
 * The policy of `storeRotationPolicy`, parsed from JSON. Limits are not applied again, so that a policy outlives a
 * change of them. Throws `StoredPolicyDamaged` for anything else.
 */
export function readRotationPolicy(json: unknown): RotationPolicy {
  const result = v.safeParse(stored, json);
  if (!result.success) throw new StoredPolicyDamaged();
  const { rotateAfterCreate, rotateBeforeExpiry, notifyBeforeExpiry, expiry, created, updated } =
    result.output;
  const afterCreate = storedDuration(rotateAfterCreate);
  const beforeExpiry = storedDuration(rotateBeforeExpiry);
  if (afterCreate !== undefined && beforeExpiry !== undefined) throw new StoredPolicyDamaged();
  return {
    rotate: afterCreate ? { afterCreate } : beforeExpiry && { beforeExpiry },
    notifyBeforeExpiry: storedDuration(notifyBeforeExpiry),
    expiry: storedDuration(expiry),
    created,
    updated,
  };
}

function storedDuration(text: string | undefined): Duration | undefined {
  if (text === undefined) return undefined;
  const duration = parseDuration(text);
  if (duration === undefined) throw new StoredPolicyDamaged();
  return duration;
}

/** What was kept as a rotation policy is none. */
export class StoredPolicyDamaged extends Error {
  constructor() {
    super('a stored rotation policy is damaged');
    this.name = 'StoredPolicyDamaged';
  }
}

/** What is to be known of a key's current version. */
export type CurrentVersion = Pick<ObjectVersion, 'version' | 'created' | 'expires' | 'enabled'>;

/** The `exp` of a version that rotation makes at `created`; undefined for none. */
export function expiresUnder(policy: RotationPolicy | undefined, created: number): number | undefined {
  return policy?.expiry && addDuration(created, policy.expiry);
}

/**
 * When the key is to be rotated; undefined for never. In the past when the policy came late: then at once. Never while
 * the current version is disabled, since its successor would put back into use what was taken out of it; the time
 * counts again when it is enabled. Rotate before expiry waits for `exp`, and leaves a young version alone for 7 days (or
 * until it expires, if that is sooner): otherwise months that turn out long could make each new version due at once.
 */
export function rotationDue(
  policy: RotationPolicy | undefined,
  { created, expires, enabled }: CurrentVersion,
): number | undefined {
  const { afterCreate, beforeExpiry } = policy?.rotate ?? {};
  if (!enabled) return undefined;
  if (afterCreate !== undefined) return addDuration(created, afterCreate);
  if (beforeExpiry === undefined || expires === undefined) return undefined;
  return Math.max(subtractDuration(expires, beforeExpiry), Math.min(created + days(7), expires));
}

/**
 * When the version begins to be near its expiry: by the policy's Notify, otherwise 30 days before; undefined without
 * `exp`. A version that lives no longer than that is near its expiry from its creation.
 */
export function nearExpiryAt(
  policy: RotationPolicy | undefined,
  { created, expires }: CurrentVersion,
): number | undefined {
  if (expires === undefined) return undefined;
  const near = subtractDuration(expires, policy?.notifyBeforeExpiry ?? defaultNotify);
  return Math.max(near, Math.min(created, expires));
}

/**
 * What has been announced of a version. Marks hold for that version as it is: a change of its `exp`, or of the policy,
 * that moves these times into the future is to clear them.
 */
export interface LifecycleMarks {
  readonly version: string;
  readonly nearExpiry: boolean;
  readonly expired: boolean;
}

/** A key as far as jobs are concerned with it. */
export interface LifecycleState {
  readonly policy: RotationPolicy | undefined;
  readonly version: CurrentVersion;
  readonly marks: LifecycleMarks | undefined;
}

/**
 * When each thing that jobs do with a key is to be done, past or future; undefined for what has been done, or never will
 * be. Marks of another version count for nothing, and near expiry is not announced any more once expired was.
 */
export function lifecycleDue(
  limits: RotationLimits,
  { policy, version, marks }: LifecycleState,
): { rotate: number | undefined; nearExpiry: number | undefined; expired: number | undefined } {
  const done = marks?.version === version.version ? marks : undefined;
  const announces = limits.defaultNotify !== undefined && done?.expired !== true;
  return {
    rotate: rotationDue(policy, version),
    nearExpiry: announces && done?.nearExpiry !== true ? nearExpiryAt(policy, version) : undefined,
    expired: announces ? version.expires : undefined,
  };
}

/** The earliest time of `lifecycleDue`; undefined when no job has anything to do with the key. */
export function nextDue(limits: RotationLimits, state: LifecycleState): number | undefined {
  const times = Object.values(lifecycleDue(limits, state)).filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}
