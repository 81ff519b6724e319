/** Names and identifiers of the API: what is valid, and the form in which they compare. */

/** Objects in a vault that have versions, deletion and recovery. */
export type ObjectKind = 'secrets' | 'keys' | 'certificates';

/** What else is kept as an object of a vault, and is shown only through what it belongs to. */
export type InternalKind = 'pendingcertificates' | 'certificateissuers' | 'certificatecontacts';
export type StoredKind = ObjectKind | InternalKind;

/** A secret's, key's or certificate's name: 1 to 127 of [0-9a-zA-Z-] (LIMITS.md §1, Azure's OpenAPI). */
const objectName = /^[0-9a-zA-Z-]{1,127}$/;
/** 3 to 24 of letters, digits and single hyphens; starts with a letter, ends with a letter or digit. */
const vaultName = /^(?=.{3,24}$)[a-zA-Z](?:-?[a-zA-Z0-9])+$/;
const location = /^[a-z0-9-]{1,64}$/;
const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Resource group: 1 to 90 of word characters, `.`, `-`, `(`, `)`, not ending in a full stop. */
const resourceGroupName = /^(?=.{1,90}$)[-\w.()]*[-\w()]$/;

export function isObjectName(text: string): boolean {
  return objectName.test(text);
}

export function isVaultName(text: string): boolean {
  return vaultName.test(text);
}

/** A region's name, as it goes into a header: lower-case letters, digits and hyphens. */
export function isLocation(text: string): boolean {
  return location.test(text);
}

export function isGuid(text: string): boolean {
  return guid.test(text);
}

export function isResourceGroupName(text: string): boolean {
  return resourceGroupName.test(text);
}

/**
 * The form in which object names are stored as keys and ordered: upper case, since identifiers compare without
 * regard to case and lists are in the order of the upper-cased name.
 */
export function objectKey(name: string): string {
  return name.toUpperCase();
}

/**
 * The form in which attestation authorities compare, and the address below which they are asked: host in lower case,
 * no default port, no trailing slash. Undefined for what is no https URL of at most 1,024 printable ASCII characters
 * without credentials, query and fragment.
 */
export function authorityKey(text: string): string | undefined {
  if (text.length > 1024 || !/^https:\/\/[!-~]+$/i.test(text) || /[\\@?#]/.test(text)) return undefined;
  return URL.canParse(text) ? new URL(text).href.replace(/\/$/, '') : undefined;
}

/** The form in which vault, group and scope names compare. */
export function foldCase(name: string): string {
  return name.toLowerCase();
}
