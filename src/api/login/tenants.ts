/** Tenants as they stand in paths: by id or name, or as `common`, `organizations` and `adfs`. */
import { Failure } from '../../core/errors.ts';
import type { Tenant } from '../../domain/resources/directory-store.ts';
import type { Hosts } from '../hosts.ts';

/**
 * The tenant that a path segment names; undefined for none. `adfs` is what clients use to go without instance discovery;
 * it stands for the only tenant there is.
 */
export function tenantNamed(tenants: readonly Tenant[], authority: string): string | undefined {
  const folded = authority.toLowerCase();
  if (folded === 'adfs' && tenants.length === 1) return tenants[0]?.id;
  return tenants.find((entry) => entry.id === folded || entry.name.toLowerCase() === folded)?.id;
}

/** True for what stands for any tenant: whose it is shows who signs in. */
export function isAnyTenant(authority: string): boolean {
  return /^(?:common|organizations)$/i.test(authority);
}

export function tenantNotFound(authority: string): Failure {
  return new Failure(
    'tenantNotFound',
    `Tenant '${authority.slice(0, 64)}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
  );
}

const endpoints = ['', '/', '/v2.0', '/oauth2/token', '/oauth2/v2.0/token'];

/**
 * True if the text is the address of a token endpoint, or the issuer, of the tenant at this server, by any of its names:
 * what a client assertion may be made out to. Some clients leave the port out (seen with MSAL for Python).
 */
export function isTenantAddress(
  text: string,
  at: { hosts: Hosts; tenants: readonly Tenant[]; tenantId: string },
): boolean {
  const [, host = '', authority = '', endpoint = ''] =
    /^https:\/\/([^/?#@\\]+)\/([^/?#\\]+)([^?#\\]*)$/.exec(text) ?? [];
  return (
    at.hosts.find(host)?.api === 'login' &&
    tenantNamed(at.tenants, authority) === at.tenantId &&
    endpoints.includes(endpoint.toLowerCase())
  );
}
