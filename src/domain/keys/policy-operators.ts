/**
 * The operators of release policies: how a claim is found and how it compares. Three answers, not two: what cannot be
 * compared for certain is neither equal nor different, so that neither `equals` nor `notEquals` is satisfied by it.
 */

/** What a policy compares claims with (grammar: string, number, true, false). */
export type Scalar = string | number | boolean;

export const operators = [
  'equals',
  'notEquals',
  'less',
  'lessOrEquals',
  'greater',
  'greaterOrEquals',
  'exists',
] as const;
export type Operator = (typeof operators)[number];

/** A claim by its name; `unclear` where arrays are on the way, or two claims answer to the name. */
export type FoundClaim =
  | { readonly state: 'present'; readonly value: unknown }
  | { readonly state: 'absent' | 'unclear' };

type Members = Readonly<Record<string, unknown>>;

const ordering: Readonly<Partial<Record<Operator, (difference: number) => boolean>>> = {
  less: (difference) => difference < 0,
  lessOrEquals: (difference) => difference <= 0,
  greater: (difference) => difference > 0,
  greaterOrEquals: (difference) => difference >= 0,
};

/** Why a condition with this value could never be told to be true or false; undefined if it can. */
export function unusableOperand(operator: Operator, value: Scalar): string | undefined {
  if (operator === 'exists') {
    return booleanOf(value) === undefined ? "the value of 'exists' must be true or false" : undefined;
  }
  if (ordering[operator] !== undefined) {
    return numberOf(value) === undefined ? `the value of '${operator}' must be a number` : undefined;
  }
  return typeof value === 'number' && !isExact(value) ? 'a number is too large to be exact' : undefined;
}

/**
 * Finds a claim by its whole name or by the path that its dots make through objects ("dot notation"). Only members of
 * the claims' own count, and arrays are not gone into: the grammar has no form for their items.
 */
export function claimOf(claims: Members, name: string): FoundClaim {
  const whole = memberOf(claims, name);
  if (!name.includes('.')) return whole;
  const nested = followPath(claims, name.split('.'));
  if (whole.state === 'absent') return nested;
  return nested.state === 'absent' ? whole : { state: 'unclear' };
}

/** Whether a claim satisfies the operator. One that is not there satisfies nothing but `exists: false`. */
export function satisfies(claim: FoundClaim, operator: Operator, operand: Scalar): boolean {
  if (operator === 'exists') {
    if (claim.state === 'present' && claim.value === null) return false;
    return claim.state === (booleanOf(operand) === true ? 'present' : 'absent');
  }
  if (claim.state !== 'present') return false;
  const order = ordering[operator];
  if (order !== undefined) {
    const [left, right] = [numberOf(claim.value), numberOf(operand)];
    return left !== undefined && right !== undefined && order(left - right);
  }
  return compare(claim.value, operand) === (operator === 'equals' ? 'same' : 'different');
}

/**
 * Azure's policies write booleans as texts, and its tokens carry them as booleans (`"equals": "true"` is satisfied by
 * `true`): a boolean compares with the texts `true` and `false`, and a number with the text of an integer.
 */
function compare(claim: unknown, operand: Scalar): 'same' | 'different' | 'unknown' {
  if (typeof claim === 'string' && typeof operand === 'string') return verdict(claim, operand);
  const isBoolean = typeof claim === 'boolean' || typeof operand === 'boolean';
  return isBoolean
    ? verdict(booleanOf(claim), booleanOf(operand))
    : verdict(numberOf(claim), numberOf(operand));
}

function verdict<T>(left: T | undefined, right: T | undefined): 'same' | 'different' | 'unknown' {
  if (left === undefined || right === undefined) return 'unknown';
  return left === right ? 'same' : 'different';
}

function booleanOf(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 'true') return true;
  return value === 'false' ? false : undefined;
}

/** Texts of versions and fractions are not taken for numbers: `1.10` would be less than `1.9`. */
function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^(?:0|-?[1-9]\d{0,15})$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && isExact(number) ? number : undefined;
}

/** Beyond 2^53 JSON's numbers have been rounded, and two that differ may look the same. */
function isExact(value: number): boolean {
  return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

function followPath(claims: Members, path: readonly string[]): FoundClaim {
  let found: FoundClaim = { state: 'present', value: claims };
  for (const name of path) {
    if (found.state !== 'present') return found;
    const value: unknown = found.value;
    if (Array.isArray(value)) return { state: 'unclear' };
    const isObject = typeof value === 'object' && value !== null;
    found = isObject ? memberOf(value as Members, name) : { state: 'absent' };
  }
  return found;
}

function memberOf(members: Members, name: string): FoundClaim {
  return Object.hasOwn(members, name) ? { state: 'present', value: members[name] } : { state: 'absent' };
}
