/** How audiences compare: without regard to one trailing slash and to the case of scheme and host. */
import { isGuid } from '../core/names.ts';

const absolute = /^([a-z][a-z0-9+.-]*:\/\/[^/]*)(.*)$/is;

/** True if two audiences name the same resource; equal texts, the usual case, are told without further work. */
export function isSameAudience(a: string, b: string): boolean {
  return a === b || foldAudience(a) === foldAudience(b);
}

function foldAudience(audience: string): string {
  if (isGuid(audience)) return audience.toLowerCase();
  const [, origin = '', path = audience] = absolute.exec(audience) ?? [];
  return origin.toLowerCase() + path.replace(/\/$/, '');
}
