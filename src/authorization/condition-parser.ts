/**
 * The grammar of conditions on role assignments, as far as it constrains who may be given which role. What is not
 * in it is refused when an assignment is made, so that no condition is kept that is not enforced.
 *
 *     or    = and { ("OR" | "||") and }            and = unary { ("AND" | "&&") unary }
 *     unary = "!" unary | "NOT" unary | "(" or ")" | action | comparison
 *     action     = "ActionMatches" "{" text "}"
 *     comparison = ("@Request" | "@Resource") "[" attribute "]" operator "{" value { "," value } "}"
 */
import { isGuid } from '../core/names.ts';

export const conditionActions = [
  'Microsoft.Authorization/roleAssignments/write',
  'Microsoft.Authorization/roleAssignments/delete',
] as const;

/** What is asked of an assignment: of the one to be written (`@Request`) or of the one that is there (`@Resource`). */
export type Attribute = 'RoleDefinitionId' | 'PrincipalId' | 'PrincipalType';
export type AttributeSource = 'Request' | 'Resource';

export type Expression =
  | { readonly kind: 'or' | 'and'; readonly parts: readonly Expression[] }
  | { readonly kind: 'not'; readonly part: Expression }
  /** Lower case. */
  | { readonly kind: 'action'; readonly action: string }
  | {
      readonly kind: 'oneOf' | 'noneOf';
      readonly source: AttributeSource;
      readonly attribute: Attribute;
      /** Lower case. */
      readonly values: readonly string[];
    };

/** What is wrong with a condition, in words for the one who wrote it. */
export class ConditionRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConditionRefused';
  }
}

/** Azure's own limit is not known to us; its conditions are far shorter. */
const longestCondition = 8192;
const deepest = 32;

/** Parses a condition; throws `ConditionRefused` for what is wrong or not supported. */
export function parseCondition(text: string): Expression {
  if (text.length > longestCondition)
    throw new ConditionRefused(`it is longer than ${longestCondition} characters`);
  const reader = { tokens: tokensOf(text), at: 0, depth: 0 };
  const parsed = parseOr(reader);
  const rest = reader.tokens[reader.at];
  if (rest !== undefined) throw new ConditionRefused(`'${rest}' is not expected`);
  return parsed;
}

interface Reader {
  readonly tokens: readonly string[];
  at: number;
  depth: number;
}

const tokenPattern = /\s*(?:([(){},!]|&&|\|\||@[A-Za-z]+\[[^\]']*\]|'[^']*'|[A-Za-z0-9:_.-]+)|(\S))/gy;

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  for (const [, token, other] of text.trim().matchAll(tokenPattern)) {
    if (token === undefined) throw new ConditionRefused(`the character '${other}' is not expected`);
    tokens.push(token);
  }
  if (tokens.length === 0) throw new ConditionRefused('it is empty');
  return tokens;
}

function next(reader: Reader): string {
  const token = reader.tokens[reader.at];
  if (token === undefined) throw new ConditionRefused('it ends too early');
  reader.at += 1;
  return token;
}

function expect(reader: Reader, wanted: string): void {
  const token = next(reader);
  if (token !== wanted) throw new ConditionRefused(`'${wanted}' is expected, not '${token}'`);
}

function takes(reader: Reader, words: readonly string[]): boolean {
  const isThere = words.includes(reader.tokens[reader.at]?.toUpperCase() ?? '');
  if (isThere) reader.at += 1;
  return isThere;
}

function parseOr(reader: Reader): Expression {
  const first = parseAnd(reader);
  const parts = [first];
  while (takes(reader, ['OR', '||'])) parts.push(parseAnd(reader));
  return parts.length === 1 ? first : { kind: 'or', parts };
}

function parseAnd(reader: Reader): Expression {
  const first = parseUnary(reader);
  const parts = [first];
  while (takes(reader, ['AND', '&&'])) parts.push(parseUnary(reader));
  return parts.length === 1 ? first : { kind: 'and', parts };
}

function parseUnary(reader: Reader): Expression {
  reader.depth += 1;
  if (reader.depth > deepest) throw new ConditionRefused('its parts are nested too deeply');
  try {
    if (takes(reader, ['!', 'NOT'])) return { kind: 'not', part: parseUnary(reader) };
    const token = next(reader);
    if (token === '(') {
      const inner = parseOr(reader);
      expect(reader, ')');
      return inner;
    }
    if (token === 'ActionMatches') return parseAction(reader);
    if (token.startsWith('@')) return parseComparison(reader, token);
    throw new ConditionRefused(`'${token}' is not supported`);
  } finally {
    reader.depth -= 1;
  }
}

function parseAction(reader: Reader): Expression {
  expect(reader, '{');
  const action = textOf(next(reader)).toLowerCase();
  expect(reader, '}');
  if (!conditionActions.some((known) => known.toLowerCase() === action))
    throw new ConditionRefused(`conditions on '${action}' are not supported`);
  return { kind: 'action', action };
}

const attributePattern = /^@(Request|Resource)\[Microsoft\.Authorization\/roleAssignments:([A-Za-z]+)\]$/i;

function parseComparison(reader: Reader, token: string): Expression {
  const [, source = '', name = ''] = attributePattern.exec(token) ?? [];
  const attribute = attributes.get(name.toLowerCase());
  if (attribute === undefined) throw new ConditionRefused(`the attribute ${token} is not supported`);
  const operator = next(reader);
  const known = operators.get(operator);
  if (known === undefined || known.guids !== (attribute !== 'PrincipalType'))
    throw new ConditionRefused(`the operator '${operator}' is not supported for ${token}`);
  return {
    kind: known.kind,
    source: source.toLowerCase() === 'request' ? 'Request' : 'Resource',
    attribute,
    values: parseValues(reader, known.guids),
  };
}

const attributes = new Map<string, Attribute>([
  ['roledefinitionid', 'RoleDefinitionId'],
  ['principalid', 'PrincipalId'],
  ['principaltype', 'PrincipalType'],
]);

/** An assignment has one value of each attribute, so that "any of" is about the list in the condition only. */
const operators = new Map<string, { kind: 'oneOf' | 'noneOf'; guids: boolean }>([
  ['ForAnyOfAnyValues:GuidEquals', { kind: 'oneOf', guids: true }],
  ['ForAnyOfAllValues:GuidNotEquals', { kind: 'noneOf', guids: true }],
  ['ForAnyOfAnyValues:StringEqualsIgnoreCase', { kind: 'oneOf', guids: false }],
]);

function parseValues(reader: Reader, guids: boolean): readonly string[] {
  expect(reader, '{');
  const values: string[] = [];
  do {
    const token = next(reader);
    const value = (guids && isGuid(token) ? token : textOf(token)).toLowerCase();
    if (guids && !isGuid(value)) throw new ConditionRefused(`'${value}' is not a GUID`);
    values.push(value);
  } while (takes(reader, [',']));
  expect(reader, '}');
  return values;
}

function textOf(token: string): string {
  if (!token.startsWith("'")) throw new ConditionRefused(`a text in quotes is expected, not '${token}'`);
  return token.slice(1, -1);
}
