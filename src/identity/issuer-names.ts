/** The names that the embedded token service gives itself (`iss`), one pair for each family of host names. */

/** Issuers of v1.0 and v2.0 tokens, with `{tid}` where the tenant's id goes. */
export interface IssuerNames {
  readonly v1: string;
  readonly v2: string;
}

export type TokenVersion = '1.0' | '2.0';

/** Entra ID's own, for requests that came in by Azure's names. */
export const azureIssuerNames: IssuerNames = {
  v1: 'https://sts.windows.net/{tid}/',
  v2: 'https://login.microsoftonline.com/{tid}/v2.0',
};

/** Of this server's own names; `origin` is `https://login.DOMAIN:PORT`, without a trailing slash. */
export function ownIssuerNames(origin: string): IssuerNames {
  return { v1: `${origin}/{tid}/`, v2: `${origin}/{tid}/v2.0` };
}

/** The `iss` of a tenant's tokens of the given version. */
export function issuerOf(names: IssuerNames, version: TokenVersion, tenantId: string): string {
  return (version === '1.0' ? names.v1 : names.v2).replace('{tid}', () => tenantId);
}
