/** Who calls the management plane, and the refusals of Azure Resource Manager with their challenges. */
import { Failure } from '../../core/errors.ts';
import type { Principal } from '../../core/principal.ts';
import type { DirectoryStore, Subscription } from '../../domain/resources/directory-store.ts';
import type { TokenValidator } from '../../identity/validator.ts';
import { validateForAnyTenant } from '../any-tenant.ts';
import { bearerToken } from '../connection.ts';
import type { Exchange } from '../exchange.ts';
import type { Hosts, HostTarget } from '../hosts.ts';

export interface Authentication {
  readonly hosts: Pick<Hosts, 'loginOrigin'>;
  readonly validator: TokenValidator;
  readonly directory: Pick<DirectoryStore, 'tenants'>;
}

interface Called {
  readonly target: HostTarget;
  /** The one in the path, whose tenant the caller must be of; any of this server's tenants, if there is none. */
  readonly subscription: Subscription | undefined | string;
}

/** Throws 401 with a challenge. */
export async function authenticate(
  deps: Authentication,
  exchange: Exchange,
  { target, subscription }: Called,
): Promise<Principal> {
  const tenantId = typeof subscription === 'object' ? subscription.tenantId : undefined;
  const challenge = (description: string) => {
    const authority = `${deps.hosts.loginOrigin(target)}/${tenantId ?? 'common'}`;
    exchange.challenge = `Bearer authorization_uri="${authority}", error="invalid_token", error_description="${description}"`;
  };
  const token = bearerToken(exchange.request, exchange.connection);
  if (token === undefined) {
    const isMissing = exchange.request.headers.authorization === undefined;
    challenge(
      isMissing
        ? "The authentication failed because of missing 'Authorization' header."
        : "The authentication failed because of an invalid 'Authorization' header.",
    );
    throw new Failure(
      'authenticationFailed',
      isMissing
        ? "Authentication failed. The 'Authorization' header is missing."
        : "Authentication failed. The 'Authorization' header is provided in an invalid format.",
    );
  }
  challenge('The access token is invalid.');
  const { principal } = await validateForAnyTenant(
    { validator: deps.validator, tenants: await deps.directory.tenants() },
    token,
    {
      audiences: target.audiences,
      last: exchange.connection.lastToken,
      refusal: 'The access token is invalid.',
    },
  );
  if (tenantId !== undefined && principal.tenantId !== tenantId) {
    challenge(
      'The access token is from the wrong issuer. It must match the tenant associated with this subscription. Please use correct authority to get the token.',
    );
    throw wrongTenant(principal.tenantId, { tenantId, login: deps.hosts.loginOrigin(target) });
  }
  exchange.challenge = undefined;
  return principal;
}

/** Azure's words, with the names that its issuers have. */
function wrongTenant(found: string, of: { tenantId: string; login: string }): Failure {
  return new Failure(
    'wrongTenant',
    `The access token is from the wrong issuer 'https://sts.windows.net/${found}/'. It must match the tenant 'https://sts.windows.net/${of.tenantId}/' associated with this subscription. Please use the authority (URL) '${of.login}/${of.tenantId}' to get the token. Note, if the subscription is transferred to another tenant there is no impact to the services, but information about new tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this error message, please try back later.`,
  );
}
