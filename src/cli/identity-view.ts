import { facts } from './output.ts';

/** An identity as the operations answer it. */
export interface IdentityView {
  readonly name: string;
  readonly kind: string;
  /** Users and groups have none. */
  readonly clientId?: string;
  readonly objectId: string;
  readonly tenantId: string;
  readonly userName?: string;
  /** There only if it is false. */
  readonly enabled?: false;
  readonly directoryAdministrator?: true;
}

/** A credential as the operations answer it: never the secret itself. */
export interface CredentialView {
  readonly keyId: string;
  readonly kind: string;
  readonly hint: string;
  readonly expires: string;
  readonly thumbprint?: string;
  readonly issuer?: string;
  readonly subject?: string;
}

export function identityFacts(view: IdentityView): string {
  const optional: [string, string | undefined][] = [
    ['user name', view.userName],
    ['client id', view.clientId],
    ['object id', view.objectId],
    ['tenant', view.tenantId],
    ['enabled', view.enabled === false ? 'no' : undefined],
    ['administers', view.directoryAdministrator ? 'the directory' : undefined],
  ];
  return facts([
    ['name', view.name],
    ['kind', view.kind],
    ...optional.filter((pair): pair is [string, string] => pair[1] !== undefined),
  ]);
}
