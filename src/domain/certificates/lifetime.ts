/** What is done over a certificate's lifetime, and when: the lifetime actions of its policy. Times are Unix seconds. */
import { badPolicy, type Given } from './policy-input.ts';

const actionTypes = ['AutoRenew', 'EmailContacts'] as const;
export type LifetimeActionType = (typeof actionTypes)[number];

/** When to act: after a part of the lifetime, or so many days before its end. */
export type LifetimeTrigger =
  | { readonly percentage: number; readonly daysBeforeExpiry?: undefined }
  | { readonly daysBeforeExpiry: number; readonly percentage?: undefined };

export interface LifetimeAction {
  readonly trigger: LifetimeTrigger;
  readonly type: LifetimeActionType;
}

export interface LifetimeActionInput {
  readonly trigger?: Given<{
    readonly percentage?: Given<number>;
    readonly daysBeforeExpiry?: Given<number>;
  }>;
  readonly type?: Given<string>;
}

const usualPercentage = 80;
/** Days that Azure counts for each month of validity in its bound for `days_before_expiry`. */
const daysOfMonth = 27;
const secondsPerDay = 86_400;
/** Seconds: certificates begin before they are made, for clocks that are behind; no authority goes back by more. */
const mostBackdating = secondsPerDay / 2;

/** The action of a policy that says none (recorded): nobody but its caller can renew what no issuer is known of. */
export function usualAction(isIssuerUnknown: boolean): LifetimeAction {
  return { trigger: { percentage: usualPercentage }, type: isIssuerUnknown ? 'EmailContacts' : 'AutoRenew' };
}

/**
 * The actions that are given, or `otherwise`; each type once at most. `validityMonths` bounds the days before expiry
 * of both, since a shorter validity can leave an action without its day. Throws `badParameter`.
 */
export function parseLifetimeActions(
  given: Given<readonly LifetimeActionInput[]>,
  { validityMonths, otherwise }: { validityMonths: number; otherwise: readonly LifetimeAction[] },
): readonly LifetimeAction[] {
  const actions = given?.map(parseAction) ?? otherwise;
  if (new Set(actions.map(({ type }) => type)).size < actions.length)
    throw badPolicy('There can be one AutoRenew and one EmailContacts.');
  const mostDays = validityMonths * daysOfMonth;
  if (!fitsValidity(actions, validityMonths))
    throw badPolicy(
      `days_before_expiry is from 1 to ${mostDays}, ${daysOfMonth} for each month of validity.`,
    );
  return actions;
}

/** Whether each action has its day within the validity. */
export function fitsValidity(actions: readonly LifetimeAction[], validityMonths: number): boolean {
  return actions.every(({ trigger }) => (trigger.daysBeforeExpiry ?? 0) <= validityMonths * daysOfMonth);
}

function parseAction({ trigger, type }: LifetimeActionInput): LifetimeAction {
  const known = actionTypes.find((each) => each.toLowerCase() === type?.toLowerCase());
  if (known === undefined) throw badPolicy('action_type is AutoRenew or EmailContacts.');
  return {
    trigger: parseTrigger(trigger?.percentage ?? undefined, trigger?.daysBeforeExpiry ?? undefined),
    type: known,
  };
}

function parseTrigger(percentage: number | undefined, days: number | undefined): LifetimeTrigger {
  if ((percentage === undefined) === (days === undefined))
    throw badPolicy('An action has one trigger, lifetime_percentage or days_before_expiry.');
  if (days !== undefined) {
    if (!Number.isInteger(days) || days < 1) throw badPolicy('days_before_expiry is a whole number from 1.');
    return { daysBeforeExpiry: days };
  }
  if (percentage === undefined || !Number.isInteger(percentage) || percentage < 1 || percentage > 99)
    throw badPolicy('lifetime_percentage is from 1 to 99.');
  return { percentage };
}

/** When something is to be done for a version; undefined for never. */
export interface LifetimeDue {
  readonly renewAt: number | undefined;
  readonly emailAt: number | undefined;
}

/**
 * When a version that is valid in these bounds is to be renewed, and when its contacts are to be told. What no issuer
 * is known of cannot be renewed without its caller: its contacts are told in place of it.
 */
export function lifetimeDue(
  {
    lifetimeActions,
    issuer,
  }: { readonly lifetimeActions: readonly LifetimeAction[]; readonly issuer: { readonly name: string } },
  bounds: { readonly notBefore: number; readonly expires: number },
): LifetimeDue {
  const at = (type: LifetimeActionType) => {
    const action = lifetimeActions.find((each) => each.type === type);
    return action && dueAt(action.trigger, bounds);
  };
  const [renewAt, emailAt] = [at('AutoRenew'), at('EmailContacts')];
  if (issuer.name.toLowerCase() !== 'unknown') return { renewAt, emailAt };
  const told = [renewAt, emailAt].filter((time) => time !== undefined);
  return { renewAt: undefined, emailAt: told.length === 0 ? undefined : Math.min(...told) };
}

function dueAt(
  trigger: LifetimeTrigger,
  { notBefore, expires }: { notBefore: number; expires: number },
): number {
  const life = expires - notBefore;
  const after = (percentage: number) => notBefore + Math.floor((life * percentage) / 100);
  if (trigger.daysBeforeExpiry === undefined) return after(trigger.percentage);
  const ahead = trigger.daysBeforeExpiry * secondsPerDay;
  // An authority may give less than was asked for: what would be due from its first day on would be renewed for ever.
  return ahead + mostBackdating < life ? expires - ahead : after(usualPercentage);
}
