import type { PrincipalRecord } from './principals.ts';

/**
 * What Azure's role assignments call a principal of this kind; undefined for a subject of an issuer outside, which may
 * be a user or an application.
 */
export function principalTypeOf({
  kind,
}: Pick<PrincipalRecord, 'kind'>): 'User' | 'Group' | 'ServicePrincipal' | undefined {
  switch (kind) {
    case 'user':
      return 'User';
    case 'group':
      return 'Group';
    case 'external':
      return undefined;
    default:
      return 'ServicePrincipal';
  }
}
