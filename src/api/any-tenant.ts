/** Whose a token is, where the request does not say of which tenant it has to be. */
import { Failure, isFailure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { Tenant } from '../domain/resources/directory-store.ts';
import type { LastToken, TokenValidator } from '../identity/validator.ts';

interface Asked {
  readonly audiences: readonly string[];
  /** The connection's. */
  readonly last: LastToken;
  /** What the text of a refusal begins with. */
  readonly refusal: string;
}

/**
 * A token is of one tenant: whichever of this server's it is, it must be good there. Fails with `unauthorized`, in the
 * validator's words.
 */
export async function validateForAnyTenant(
  { validator, tenants }: { validator: TokenValidator; tenants: readonly Tenant[] },
  token: string,
  { audiences, last, refusal }: Asked,
): Promise<{ principal: Principal; tenant: Tenant }> {
  let reason: Failure | undefined;
  for (const tenant of tenants) {
    const expected = { audiences, tenantId: tenant.id };
    try {
      const known = validator.cached(token, expected, last);
      return { principal: known ?? (await validator.validate(token, expected)), tenant };
    } catch (error) {
      if (!isFailure(error, 'unauthorized')) throw error;
      // That it is of another tenant says less than what is wrong with it in its own.
      if (reason === undefined || !error.message.startsWith('AKV10032')) reason = error;
    }
  }
  // Without the data plane's number.
  const why = (reason?.message ?? '').replace(/^AKV\d+: /, '');
  throw new Failure('unauthorized', `${refusal} ${why}`.trim(), { cause: reason?.cause });
}
