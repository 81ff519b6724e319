/**
 * Ties a form of ours to the browser that it was shown in: the form carries a digest of a cookie's value and of the
 * request that it belongs to. A page elsewhere knows neither, and cannot send the form (cross-site request forgery) nor
 * make a browser use a form that was shown to somebody else.
 */
import type { Random } from '../core/random.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { createKeyedDigest } from '../crypto/digests.ts';

/** `__Host-` makes browsers refuse the cookie from anything but this very host over HTTPS. */
export const formCookie = '__Host-strongroom-sign-in';

const cookieForm = /^[\w-]{43}$/;

/** The value of the browser's cookie among those that it sent; a new one if it has none. */
export function browserKey(cookies: string | undefined, random: Random): string {
  return sentKey(cookies) ?? Buffer.from(random.bytes(32)).toString('base64url');
}

/** The header that sets it; it goes with requests from our own pages only, and no script reads it. */
export function setCookie(key: string): string {
  return `${formCookie}=${key}; Path=/; Secure; HttpOnly; SameSite=Strict`;
}

/** What the form of a request carries, in the browser with this key. */
export function formToken(key: string, request: string): string {
  return createKeyedDigest(SecretBytes.fromText(key))('form', SecretBytes.fromText(request));
}

/** True if the form that came was shown in the browser that sent it, for this request. */
export function isOwnForm(cookies: string | undefined, request: string, token: string | null): boolean {
  const key = sentKey(cookies);
  if (key === undefined || token === null) return false;
  return SecretBytes.fromText(formToken(key, request)).equals(SecretBytes.fromText(token));
}

/** Undefined also for two of the name: which of them is ours cannot be told. */
function sentKey(cookies: string | undefined): string | undefined {
  const values = (cookies ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${formCookie}=`))
    .map((pair) => pair.slice(formCookie.length + 1));
  const [value] = values;
  return values.length === 1 && value !== undefined && cookieForm.test(value) ? value : undefined;
}
