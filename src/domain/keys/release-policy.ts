/**
 * Key release policies: the document's grammar (Azure's "secure key release policy grammar", version 1.0.0), its
 * evaluation against the claims of an attestation, and the rules for giving and changing one. Pure. What is missing,
 * ambiguous, of another type or too much never satisfies a condition, whichever operator asks.
 */
import { Failure } from '../../core/errors.ts';
import { authorityKey } from '../../core/names.ts';
import {
  claimOf,
  type Operator,
  operators,
  type Scalar,
  satisfies,
  unusableOperand,
} from './policy-operators.ts';

/** A policy as a caller sends it; `data` is the document in base64url, or in base64. */
export interface ReleasePolicyInput {
  readonly contentType?: string | undefined;
  readonly data?: string | undefined;
  readonly immutable?: boolean | undefined;
}

/** A policy as it is kept and shown: `data` is the document written anew from what was understood of it. */
export interface ReleasePolicy {
  readonly contentType: string;
  readonly data: string;
  readonly immutable: boolean;
}

export type Condition =
  | { readonly kind: 'claim'; readonly claim: string; readonly operator: Operator; readonly value: Scalar }
  | { readonly kind: 'anyOf' | 'allOf'; readonly conditions: readonly Condition[] };

/** An authority, as the policy writes it and in the form that compares, and what its claims must satisfy. */
export interface AuthorityRule {
  readonly authority: string;
  readonly key: string;
  readonly condition: Condition;
}

/** Claims of an attestation whose signature has been verified as the authority's. */
export interface Attestation {
  readonly authority: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Bytes of the document; Azure's own limit is not published. */
const longestDocument = 16 * 1024;
const mostAuthorities = 16;
const mostConditions = 500;
/** Conditions within conditions, the authority's own being the first. */
const deepest = 8;
const longestClaimName = 512;

const policyVersion = '1.0.0';
const usualContentType = 'application/json; charset=utf-8';
/** Azure's clients and examples also send `version=1.0`. */
const contentTypeForm = /^application\/json(?:\s*;\s*(?:charset="?utf-8"?|version=1\.0))*$/i;

/**
 * Checks a policy and writes its document anew, as Azure does: what is kept and shown is what is enforced, without the
 * members of the same name, white space and number forms that readers of JSON differ on. Without `data`, `previous`
 * stays and only its flag is set. Fails with `badParameter`.
 */
export function parseReleasePolicy(input: ReleasePolicyInput, previous?: ReleasePolicy): ReleasePolicy {
  const contentType = input.contentType ?? (input.data === undefined ? previous?.contentType : undefined);
  if (contentType !== undefined && !isContentType(contentType)) throw refused('unsupported contentType');
  const data = input.data ?? previous?.data;
  if (data === undefined) throw refused('missing data');
  return {
    contentType: contentType ?? usualContentType,
    data: Buffer.from(documentOf(readReleaseRules(data)), 'utf8').toString('base64url'),
    immutable: input.immutable ?? previous?.immutable ?? false,
  };
}

/** The rules of a policy's `data`, one for each authority; fails with `badParameter` for what is not in the grammar. */
export function readReleaseRules(data: string): readonly AuthorityRule[] {
  const document = membersOf(parseDocument(data), 'policy');
  if (!Object.hasOwn(document, 'version')) throw refused("missing 'version' property");
  if (document.version !== policyVersion) throw refused(`'version' must be '${policyVersion}'`);
  assertOnly(document, ['version', 'anyOf'], 'policy');
  const authorities = listOf(document, 'anyOf');
  if (authorities.length > mostAuthorities) throw refused(`more than ${mostAuthorities} authorities`);
  const budget = { left: mostConditions };
  return authorities.map((row) => readAuthority(row, budget));
}

/** The authorities whose word counts, in the form that compares, each once. */
export function authoritiesOf(rules: readonly AuthorityRule[]): readonly string[] {
  return [...new Set(rules.map((rule) => rule.key))];
}

/** The authority, as the policy writes it, whose rule the attestation satisfies; undefined if it satisfies none. */
export function satisfiedAuthority(
  rules: readonly AuthorityRule[],
  { authority, claims }: Attestation,
): string | undefined {
  const key = authorityKey(authority);
  if (key === undefined) return undefined;
  return rules.find((rule) => rule.key === key && holds(rule.condition, claims))?.authority;
}

/** What is about to be true of a key. */
export interface ReleaseChange {
  /** The attribute as it will be. */
  readonly exportable: boolean;
  /** Whether the key's operations include `secureWrapKey` or `secureUnwrapKey`. */
  readonly wrapsSecurely?: boolean;
  /** The policy that was sent; undefined where the request has none. */
  readonly policy: ReleasePolicyInput | undefined;
  /** The policy that the key has. */
  readonly previous?: ReleasePolicy | undefined;
}

/**
 * The rules between a key's policy and the rest of it: an exportable key has one, any other has none but for secure
 * wrapping, and an immutable one stays as it is. Fails with `badParameter` in Azure's words. To be asked before the
 * policy is parsed: to Azure, immutable comes before malformed.
 */
export function assertReleasePolicyRules(change: ReleaseChange): void {
  const { exportable, wrapsSecurely = false, policy, previous } = change;
  if (previous?.immutable && policy !== undefined && !isSame(policy, previous)) {
    throw badParameter('AKV.SKR.1020: Immutable Key Release Policy cannot be modified.');
  }
  const hasPolicy = (policy ?? previous) !== undefined;
  if (wrapsSecurely) {
    if (exportable) throw badParameter('Keys for secure wrap and unwrap must not be exportable.');
    if (!hasPolicy) throw badParameter('Keys for secure wrap and unwrap must have release policy.');
    return;
  }
  if (exportable && !hasPolicy) throw badParameter('AKV.SKR.1004: Exportable keys must have release policy.');
  if (!exportable && hasPolicy) {
    throw badParameter('AKV.SKR.1005: Non-exportable keys must not have release policy.');
  }
}

/** A policy that says what is there already changes nothing: clients send back what they were given. */
function isSame(input: ReleasePolicyInput, previous: ReleasePolicy): boolean {
  try {
    const policy = parseReleasePolicy(input, previous);
    const isSameType = input.contentType === undefined || policy.contentType === previous.contentType;
    return isSameType && policy.immutable && policy.data === previous.data;
  } catch {
    return false;
  }
}

function isContentType(text: string): boolean {
  return text.length <= 128 && contentTypeForm.test(text);
}

function parseDocument(data: string): unknown {
  if (data.length > Math.ceil(longestDocument / 3) * 4) throw refused(`longer than ${longestDocument} bytes`);
  const bytes = Buffer.from(data, 'base64url');
  // Decoding skips what is no base64url: encoding again shows whether all of it was. Terraform's azurerm provider sends
  // the other alphabet, with padding, which Node decodes alike.
  if (bytes.toString('base64url') !== data && bytes.toString('base64') !== data)
    throw refused('data is not base64url');
  if (bytes.length > longestDocument) throw refused(`longer than ${longestDocument} bytes`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw refused('data is not JSON in UTF-8', cause);
  }
}

function readAuthority(value: unknown, budget: { left: number }): AuthorityRule {
  const row = membersOf(value, 'authority');
  const { authority } = row;
  if (typeof authority !== 'string') throw refused("missing 'authority' property");
  const key = authorityKey(authority);
  if (key === undefined) throw refused("'authority' must be an https URL");
  const { authority: _, ...condition } = row;
  if (Object.hasOwn(condition, 'claim')) throw refused("an authority has either 'anyOf' or 'allOf'");
  return { authority, key, condition: readCondition(condition, { level: 1, budget }) };
}

function readCondition(value: unknown, at: { level: number; budget: { left: number } }): Condition {
  if (at.level > deepest) throw refused(`conditions nested deeper than ${deepest}`);
  at.budget.left -= 1;
  if (at.budget.left < 0) throw refused(`more than ${mostConditions} conditions`);
  const row = membersOf(value, 'condition');
  if (Object.hasOwn(row, 'claim')) return readClaimCondition(row);
  const kind = Object.hasOwn(row, 'anyOf') ? 'anyOf' : 'allOf';
  assertOnly(row, [kind], 'condition');
  const below = { level: at.level + 1, budget: at.budget };
  return { kind, conditions: listOf(row, kind).map((item) => readCondition(item, below)) };
}

function readClaimCondition(row: Readonly<Record<string, unknown>>): Condition {
  const { claim } = row;
  if (typeof claim !== 'string' || claim === '' || claim.length > longestClaimName) {
    throw refused(`'claim' must be a string of 1 to ${longestClaimName} characters`);
  }
  const found = operators.filter((name) => Object.hasOwn(row, name));
  const [operator] = found;
  if (operator === undefined || found.length > 1) throw refused('a claim condition has one operator');
  assertOnly(row, ['claim', operator], 'claim condition');
  const value = row[operator];
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    throw refused(`the value of '${operator}' must be a string, number or boolean`);
  }
  const problem = unusableOperand(operator, value);
  if (problem !== undefined) throw refused(problem);
  return { kind: 'claim', claim, operator, value };
}

/** The document in the order and form in which Azure returns it. */
function documentOf(rules: readonly AuthorityRule[]): string {
  const anyOf = rules.map((rule) => ({ authority: rule.authority, ...written(rule.condition) }));
  return JSON.stringify({ version: policyVersion, anyOf });
}

function written(condition: Condition): Record<string, unknown> {
  if (condition.kind === 'claim') return { claim: condition.claim, [condition.operator]: condition.value };
  return { [condition.kind]: condition.conditions.map(written) };
}

function holds(condition: Condition, claims: Readonly<Record<string, unknown>>): boolean {
  switch (condition.kind) {
    case 'anyOf':
      return condition.conditions.some((one) => holds(one, claims));
    case 'allOf':
      // "All of none" would be true: the grammar has no empty lists, and nor does this.
      return condition.conditions.length > 0 && condition.conditions.every((one) => holds(one, claims));
    case 'claim':
      return satisfies(claimOf(claims, condition.claim), condition.operator, condition.value);
  }
}

function membersOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused(`the ${what} must be a JSON object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function listOf(row: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = Object.hasOwn(row, name) ? row[name] : undefined;
  if (!Array.isArray(value) || value.length === 0) throw refused(`'${name}' must be a list with an item`);
  return value;
}

/** A member that is not understood might be a condition: to pass over it would be to release more than is allowed. */
function assertOnly(row: Readonly<Record<string, unknown>>, names: readonly string[], what: string): void {
  if (Object.keys(row).some((name) => !names.includes(name)))
    throw refused(`unknown property of the ${what}`);
}

/** The text quotes nothing of the document. */
function refused(problem: string, cause?: unknown): Failure {
  return new Failure('badParameter', `Key Release Policy: ${problem}`, { cause });
}

function badParameter(message: string): Failure {
  return new Failure('badParameter', message);
}
