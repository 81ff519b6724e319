/**
 * A part of OData's `$filter` (OData 4.01 URL Conventions §5.1.1): eq, ne, in, startswith, and, or, not, and `any` over
 * collections of strings; for the management plane OData 2's substringof, too. Everything else is refused by name. Text
 * and names of properties compare without regard to case, as in Graph: az's own example asks for `displayname`.
 */
import { Failure } from '../../core/errors.ts';
import { isGuid } from '../../core/names.ts';

type Value = string | boolean | null;

/** `path` is a property's name, or the variable of the `any` around it. */
export type Filter =
  | { readonly kind: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'not'; readonly of: Filter }
  | { readonly kind: 'eq' | 'ne'; readonly path: string; readonly value: Value }
  | { readonly kind: 'in'; readonly path: string; readonly values: readonly Value[] }
  | { readonly kind: 'startswith' | 'substringof'; readonly path: string; readonly value: string }
  | { readonly kind: 'any'; readonly path: string; readonly variable: string; readonly of: Filter };

/** The properties of an entity that can be filtered by, and what each is. */
export type Filterable = Readonly<Record<string, 'string' | 'boolean' | 'strings'>>;

interface Token {
  readonly kind: 'word' | 'text' | 'sign';
  readonly text: string;
}

type TextFunction = 'startswith' | 'substringof';

interface Reader {
  readonly tokens: readonly Token[];
  readonly filterable: Filterable;
  readonly functions: readonly TextFunction[];
  at: number;
  depth: number;
  /** Variables of the lambdas that are open. */
  readonly variables: string[];
}

const longestFilter = 4096;
const deepest = 16;
/** A text in quotes (a quote in it is doubled), a word, GUIDs among them, or a sign. */
const tokenForm = /\s*(?:'((?:[^']|'')*)'|([A-Za-z0-9_$@][\w@.-]*)|([(),:/]))/y;

/** Parses a filter over these properties; fails with `badParameter` for its form, `unsupportedQuery` for its parts. */
export function parseFilter(
  text: string,
  filterable: Filterable,
  functions: readonly TextFunction[] = ['startswith'],
): Filter {
  const reader: Reader = { tokens: tokensOf(text), filterable, functions, at: 0, depth: 0, variables: [] };
  const filter = readOr(reader);
  if (reader.at < reader.tokens.length) throw invalid();
  return filter;
}

function tokensOf(text: string): Token[] {
  if (text.length > longestFilter) throw unsupported('The filter is too long.');
  // What is looked up must be what the database's text can hold.
  if (text.includes('\0')) throw invalid();
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  const form = new RegExp(tokenForm);
  while (form.lastIndex < end) {
    const [matched, quoted, word, sign] = form.exec(text) ?? [];
    if (matched === undefined) throw invalid();
    if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.replaceAll("''", "'") });
    else tokens.push(word === undefined ? { kind: 'sign', text: sign ?? '' } : { kind: 'word', text: word });
  }
  return tokens;
}

function readOr(reader: Reader): Filter {
  if (reader.depth >= deepest) throw unsupported('The filter is nested too deeply.');
  reader.depth += 1;
  let left = readAnd(reader);
  while (takeWord(reader, 'or')) left = { kind: 'or', left, right: readAnd(reader) };
  reader.depth -= 1;
  return left;
}

function readAnd(reader: Reader): Filter {
  let left = readTerm(reader);
  while (takeWord(reader, 'and')) left = { kind: 'and', left, right: readTerm(reader) };
  return left;
}

function readTerm(reader: Reader): Filter {
  if (takeWord(reader, 'not')) {
    if (reader.depth >= deepest) throw unsupported('The filter is nested too deeply.');
    reader.depth += 1;
    const of = readTerm(reader);
    reader.depth -= 1;
    return { kind: 'not', of };
  }
  if (takeSign(reader, '(')) {
    const inner = readOr(reader);
    expectSign(reader, ')');
    return inner;
  }
  const word = expectWord(reader);
  if (takeSign(reader, '(')) return readFunction(reader, word);
  if (takeSign(reader, '/')) return readAny(reader, word);
  return readComparison(reader, word);
}

/** `startswith(property,'text')`, but `substringof('text',property)`. */
function readFunction(reader: Reader, name: string): Filter {
  const kind = reader.functions.find((known) => known === name.toLowerCase());
  if (kind === undefined) throw unsupported(`The function '${shown(name)}' is not supported.`);
  const readPath = () => propertyOf(reader, expectWord(reader), 'string');
  const first = kind === 'startswith' ? readPath() : readValue(reader);
  expectSign(reader, ',');
  const second = kind === 'startswith' ? readValue(reader) : readPath();
  expectSign(reader, ')');
  const [path, value] = kind === 'startswith' ? [first, second] : [second, first];
  if (typeof path !== 'string' || typeof value !== 'string') throw invalid();
  return { kind, path, value };
}

/** `property/any(x:…)`. */
function readAny(reader: Reader, name: string): Filter {
  const path = propertyOf(reader, name, 'strings');
  const lambda = expectWord(reader);
  if (lambda.toLowerCase() !== 'any') throw unsupported(`The operator '${shown(lambda)}' is not supported.`);
  expectSign(reader, '(');
  const variable = expectWord(reader);
  expectSign(reader, ':');
  reader.variables.push(variable);
  const of = readOr(reader);
  reader.variables.pop();
  expectSign(reader, ')');
  return { kind: 'any', path, variable, of };
}

function readComparison(reader: Reader, name: string): Filter {
  const operator = expectWord(reader).toLowerCase();
  if (operator === 'in') {
    const path = propertyOf(reader, name, 'string');
    expectSign(reader, '(');
    const values = [readValue(reader)];
    while (takeSign(reader, ',')) values.push(readValue(reader));
    expectSign(reader, ')');
    return { kind: 'in', path, values };
  }
  if (operator !== 'eq' && operator !== 'ne')
    throw unsupported(`The operator '${shown(operator)}' is not supported.`);
  const path = propertyOf(reader, name, 'string', 'boolean');
  const value = readValue(reader);
  const isBoolean = reader.filterable[path] === 'boolean' && !reader.variables.includes(path);
  if (value !== null && isBoolean !== (typeof value === 'boolean')) throw invalid();
  return { kind: operator, path, value };
}

function readValue(reader: Reader): Value {
  const token = reader.tokens[reader.at];
  reader.at += 1;
  if (token?.kind === 'text') return token.text;
  if (token?.kind !== 'word') throw invalid();
  if (token.text === 'null') return null;
  if (token.text === 'true' || token.text === 'false') return token.text === 'true';
  if (isGuid(token.text)) return token.text;
  throw invalid();
}

/** A variable of an `any`, which compares exactly, or a property of one of these kinds, as it is written there. */
function propertyOf(reader: Reader, name: string, ...kinds: Filterable[string][]): string {
  if (reader.variables.includes(name)) return name;
  const folded = name.toLowerCase();
  const property = Object.keys(reader.filterable).find((known) => known.toLowerCase() === folded);
  const kind = property === undefined ? undefined : reader.filterable[property];
  if (property === undefined || kind === undefined || !kinds.includes(kind)) {
    throw unsupported(`Unsupported or invalid query filter clause specified for property '${shown(name)}'.`);
  }
  return property;
}

function takeWord(reader: Reader, word: string): boolean {
  const token = reader.tokens[reader.at];
  if (token?.kind !== 'word' || token.text.toLowerCase() !== word) return false;
  reader.at += 1;
  return true;
}

function expectWord(reader: Reader): string {
  const token = reader.tokens[reader.at];
  if (token?.kind !== 'word') throw invalid();
  reader.at += 1;
  return token.text;
}

function takeSign(reader: Reader, sign: string): boolean {
  const token = reader.tokens[reader.at];
  if (token?.kind !== 'sign' || token.text !== sign) return false;
  reader.at += 1;
  return true;
}

function expectSign(reader: Reader, sign: string): void {
  if (!takeSign(reader, sign)) throw invalid();
}

/** Whether the filter holds for the entity; a property that it lacks is null. */
export function holds(filter: Filter, entity: Readonly<Record<string, unknown>>): boolean {
  switch (filter.kind) {
    case 'and':
      return holds(filter.left, entity) && holds(filter.right, entity);
    case 'or':
      return holds(filter.left, entity) || holds(filter.right, entity);
    case 'not':
      return !holds(filter.of, entity);
    case 'eq':
    case 'ne':
      return isSame(propertyIn(entity, filter.path), filter.value) === (filter.kind === 'eq');
    case 'in':
      return filter.values.some((value) => isSame(propertyIn(entity, filter.path), value));
    case 'startswith':
    case 'substringof': {
      const value = propertyIn(entity, filter.path);
      if (typeof value !== 'string') return false;
      const at = value.toLowerCase().indexOf(filter.value.toLowerCase());
      return filter.kind === 'startswith' ? at === 0 : at >= 0;
    }
    case 'any': {
      const values = propertyIn(entity, filter.path);
      const { variable, of } = filter;
      return Array.isArray(values) && values.some((value) => holds(of, { ...entity, [variable]: value }));
    }
  }
}

/** What must be equal to what for the filter to hold: a list that names every entity can be looked up by one of them. */
export function equalities(filter: Filter): readonly { path: string; value: string }[] {
  if (filter.kind === 'and') return [...equalities(filter.left), ...equalities(filter.right)];
  if (filter.kind === 'eq' && typeof filter.value === 'string')
    return [{ path: filter.path, value: filter.value }];
  if (filter.kind === 'any' && filter.of.kind === 'eq' && filter.of.path === filter.variable)
    return equalities(filter.of).map(({ value }) => ({ path: filter.path, value }));
  return [];
}

function propertyIn(entity: Readonly<Record<string, unknown>>, path: string): unknown {
  return Object.hasOwn(entity, path) ? entity[path] : null;
}

function isSame(found: unknown, value: Value): boolean {
  if (typeof found === 'string' && typeof value === 'string')
    return found.toLowerCase() === value.toLowerCase();
  return (found ?? null) === value;
}

/** A caller's word, for quoting: it has the characters of a token, so that its length is all there is to bound. */
function shown(word: string): string {
  return word.slice(0, 64);
}

function invalid(): Failure {
  return new Failure('badParameter', 'Invalid filter clause.');
}

function unsupported(message: string): Failure {
  return new Failure('unsupportedQuery', message);
}
