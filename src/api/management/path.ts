/**
 * Paths of the management plane, taken apart once: everything that asks what a path means asks the same segments.
 * They compare without case, and empty ones count for nothing (clients send doubled and trailing slashes).
 */
import { managementGroups } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';

/** The path's segments, decoded, in the case that the caller wrote. */
export type Segments = readonly string[];

const longestPath = 4096;
const longestSegment = 512;

/**
 * Refuses what different readers could read differently: a slash, a backslash or a control character within a
 * segment, percent-encoding that is none or doubled, and `.` and `..`. SDKs send the id that an operation is at as one
 * parameter, encoded as a whole (`/%2Fsubscriptions%2Fs/providers/…`): before anything else, and only there, an encoded
 * slash is a slash.
 */
export function parsePath(path: string): Segments {
  if (path.length > longestPath) throw invalid('it is too long');
  const [first = '', ...rest] = path.split('/').filter((segment) => segment !== '');
  return [...first.split(/%2f/i), ...rest].filter((segment) => segment !== '').map(decoded);
}

function decoded(segment: string): string {
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch {
    throw invalid('its percent-encoding is damaged');
  }
  if (text.length > longestSegment) throw invalid('a segment is too long');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f/\\%?#]/.test(text))
    throw invalid('a segment has a character that it must not have');
  if (text === '.' || text === '..') throw invalid('it has a segment that stands for another');
  return text;
}

function invalid(why: string): Failure {
  return new Failure('invalidRequestUri', `The request URI is invalid: ${why}.`);
}

/** A path for the router: the segments as they are, which hold no slash and nothing that is still encoded. */
export function joinPath(segments: Segments): string {
  return `/${segments.map(encodeURIComponent).join('/')}`;
}

/** Where the path leads: the subscription and group that it names, and whether anything follows the group's name. */
export interface Place {
  readonly subscriptionId: string | undefined;
  readonly resourceGroup: string | undefined;
  /** Whether the path is about something in the group and not about the group itself. */
  readonly isInGroup: boolean;
}

export function placeOf(segments: Segments): Place {
  const [subscriptions = '', subscriptionId, groups = '', resourceGroup, next] = segments;
  if (foldCase(subscriptions) !== 'subscriptions')
    return { subscriptionId: undefined, resourceGroup: undefined, isInGroup: false };
  if (foldCase(groups) !== 'resourcegroups' || resourceGroup === undefined)
    return { subscriptionId, resourceGroup: undefined, isInGroup: false };
  return { subscriptionId, resourceGroup, isInGroup: next !== undefined };
}

/** The longest resource id that the path begins with: what the operation is about, or is done in. `/` for none. */
export function scopeOf(segments: Segments): string {
  const [first = '', second, third = '', fourth] = segments;
  if (foldCase(first) !== 'subscriptions') {
    const isGroup = foldCase(`/${segments.slice(0, 3).join('/')}`) === foldCase(managementGroups);
    return isGroup && fourth !== undefined ? `/${segments.slice(0, 4).join('/')}` : '/';
  }
  if (second === undefined) return '/';
  const isInGroup = foldCase(third) === 'resourcegroups' && fourth !== undefined;
  const start = isInGroup ? 4 : 2;
  const providers = segments[start];
  const rest = segments.length - start - 2;
  const isResource = providers !== undefined && foldCase(providers) === 'providers' && rest >= 2;
  return `/${segments.slice(0, isResource ? start + 2 + rest - (rest % 2) : start).join('/')}`;
}
