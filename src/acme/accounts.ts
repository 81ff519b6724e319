/** Accounts at an authority (RFC 8555 §7.3): who registers, bound to which customer, and how they can be reached. */
import type { CertificateIssuer, CertificateOrder } from '../domain/certificates/issuer-provider.ts';
import type { AccountSigner, ExternalKey } from './account-key.ts';
import { unexpectedAnswer } from './problems.ts';
import type { AcmeSession } from './session.ts';

/** The issuer's account id and password are not what the authority needs; the message says why. */
export class BadCredentials extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadCredentials';
  }
}

const mostContacts = 5;

/** The issuer's credentials as ACME's: `account_id` is the key's id, `pwd` the MAC key in base64url. */
export function externalKeyOf({ accountId, password }: CertificateIssuer): ExternalKey | undefined {
  const hasPassword = password !== undefined && password.length > 0;
  if (accountId === undefined || accountId === '') {
    if (hasPassword) throw new BadCredentials('The issuer has a password without an account id.');
    return undefined;
  }
  if (!hasPassword) throw new BadCredentials('The issuer has an account id without a password.');
  // Some authorities hand the key out with padding, and in base64's own alphabet.
  const text = password.exposeText().trim();
  if (!/^[A-Za-z0-9_+/-]{16,1024}={0,2}$/.test(text)) {
    throw new BadCredentials("The issuer's password is not an HMAC key in base64url.");
  }
  return { id: accountId, mac: Buffer.from(text, 'base64url') };
}

/**
 * Registers the key, or finds the account that it has already, and returns the account's URL. That the issuer was set up
 * with this provider is the agreement to the authority's terms.
 */
export async function register(
  {
    session,
    signer,
    external,
  }: { session: AcmeSession; signer: AccountSigner; external: ExternalKey | undefined },
  order: CertificateOrder,
): Promise<string> {
  const url = session.newAccount;
  if (external === undefined && session.externalAccountRequired) {
    throw new BadCredentials(
      'The authority requires an account of its own: account_id and pwd of the issuer are its key id and HMAC key.',
    );
  }
  const binding =
    external === undefined ? {} : { externalAccountBinding: await signer.bindExternally(external, url) };
  const payload = { termsOfServiceAgreed: true, contact: contactsOf(order), ...binding };
  const { location } = await session.post(url, { payload });
  if (location === undefined) throw unexpectedAnswer('it does not say where the account is.');
  return location;
}

/** `mailto:` addresses that RFC 8555 §7.3 allows: one address each, without header fields. */
function contactsOf({ issuer, contacts }: CertificateOrder): readonly string[] {
  const administrators = (issuer.organization?.adminDetails ?? []).map(({ email }) => email);
  const emails = [...administrators, ...contacts].filter((email) => email !== undefined);
  const plain = emails.filter((email) => /^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(email));
  return [...new Set(plain)].slice(0, mostContacts).map((email) => `mailto:${email}`);
}
