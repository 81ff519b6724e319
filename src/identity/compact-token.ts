/**
 * The wire form of a token: a JWS in compact serialization (RFC 7515 §7.1) around a JWT claims set. Everything that
 * is malformed or ambiguous is refused before a key is looked for; nothing that is read here is trusted.
 */
import { Failure } from '../core/errors.ts';

/** Members of a JSON object. */
export type Members = Readonly<Record<string, unknown>>;

/** What a token says before its signature has been verified: good for choosing a key, and for nothing else. */
export interface UnverifiedToken {
  readonly encodedHeader: string;
  readonly header: Members;
  readonly claims: Members;
}

/** Characters of the longest token that is looked at; Entra ID's stay under 8 KiB. */
export const longestToken = 16 * 1024;

const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Headers that carry or point to a key, change how the signature is computed, or mean encryption. */
const refusedHeaders = ['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'enc', 'zip', 'cty'];

/**
 * Parses a token; fails with `unauthorized`, in a text that quotes nothing of it. `ignored` names header parameters that
 * are let pass although they carry a key, for who does not look at them.
 */
export function parseCompactToken(token: string, ignored: readonly string[] = []): UnverifiedToken {
  if (token.length > longestToken) throw malformed(`it is longer than ${longestToken} characters`);
  if (!compactForm.test(token)) throw malformed('it is not a signed JWT in compact form');
  const [encodedHeader = '', payload = '', signature = ''] = token.split('.');
  // Base64url whose unused last bits are set decodes all the same: one token would have many spellings.
  if (![encodedHeader, payload, signature].every(isCanonical))
    throw malformed('its base64url is not canonical');
  const header = parseObject(encodedHeader, 'header');
  const refused = refusedHeaders.find((name) => Object.hasOwn(header, name) && !ignored.includes(name));
  if (refused !== undefined) throw malformed(`the header parameter '${refused}' is not accepted`);
  return { encodedHeader, header, claims: parseObject(payload, 'claims set') };
}

/** The refusal of a token for the given reason, which must not quote unchecked text. */
export function malformed(reason: string, cause?: unknown): Failure {
  return new Failure('unauthorized', `Invalid token: ${reason}.`, { cause });
}

/** A string member's value; undefined if absent; fails with `unauthorized` for any other type, or an absurd length. */
export function textMember(members: Members, name: string): string | undefined {
  if (!Object.hasOwn(members, name)) return undefined;
  const value = members[name];
  if (typeof value !== 'string' || value === '' || value.length > longestText) {
    throw malformed(`its '${name}' is not a string of 1 to ${longestText} characters`);
  }
  return value;
}

const longestText = 1024;

function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function parseObject(part: string, what: string): Members {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, 'base64url'));
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed(`its ${what} is not JSON in UTF-8`, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`its ${what} is not a JSON object`);
  }
  if (hasRepeatedNames(text)) throw malformed(`its ${what} names a member twice`);
  return value as Members;
}

/**
 * True if some object in the text, which must be valid JSON, names a member twice. `JSON.parse` takes the last one;
 * a reader that takes the first would see another token (RFC 7519 §4 allows to reject).
 */
function hasRepeatedNames(json: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (text !== undefined && colon !== undefined) {
      const names = open.at(-1);
      const name = String(JSON.parse(text));
      if (names?.has(name)) return true;
      names?.add(name);
    }
  }
  return false;
}
