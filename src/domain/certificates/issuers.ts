/**
 * A vault's certificate issuers: which authority, on whose account. What an account is used with is sealed as a whole,
 * provider and account id included: no change of a row makes a password go to another authority than its own.
 */
import { issuerActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { Failure, isFailure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { nameOf } from '../versioned/versioned-objects.ts';
import type { IssuerInput, Issuers, ShownIssuer } from './certificate-types.ts';
import type { CertificateIssuer, OrganizationDetails } from './issuer-provider.ts';
import {
  createSingleObjects,
  type ObjectState,
  type OpenObject,
  type SingleObject,
  type SingleObjectDeps,
} from './single-objects.ts';

/** An issuer as an order needs it. */
export interface OpenIssuer extends CertificateIssuer {
  readonly provider: string;
  readonly enabled: boolean;
}

/** Issuers for the vault's own orders, which act for nobody. */
export interface OrderIssuers {
  /** Undefined for a name that is not there. Its secrets are the caller's to wipe. */
  open(vaultId: string, name: string): Promise<OpenIssuer | undefined>;
  /** Keeps what a provider asked to be kept with an issuer, unless that has another account by now. */
  keep(vaultId: string, issuer: OpenIssuer, kept: SecretBytes): Promise<void>;
}

/** Wipes what is secret in an opened issuer. */
export function wipeIssuer(issuer: Pick<OpenIssuer, 'password' | 'kept'> | undefined): void {
  issuer?.password?.wipe();
  issuer?.kept?.wipe();
}

/** What is public of an issuer, beside the times and whether it is enabled. */
interface Detail {
  readonly provider: string;
  readonly accountId?: string | undefined;
  readonly organization?: OrganizationDetails | undefined;
}

/** What is sealed. */
interface Account {
  readonly provider: string;
  readonly accountId?: string | undefined;
  readonly password?: string | undefined;
  /** Base64. */
  readonly kept?: string | undefined;
}

/** Names that policies use for what is no issuer object. */
const reserved = ['self', 'unknown'];
const providerName = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/;

export function createIssuers(deps: SingleObjectDeps): Issuers & OrderIssuers {
  const objects = createSingleObjects(deps, 'certificateissuers');
  return {
    async list(grant, request) {
      assertGranted(grant, actions.list);
      const page = await objects.list(grant.vault.id, request);
      return { ...page, items: page.items.map(toIssuer) };
    },
    async get(grant) {
      assertGranted(grant, actions.get);
      const found = await objects.find(grant.vault.id, nameOf(grant));
      if (found === undefined) throw notFound('Issuer not found');
      found.value.wipe();
      return toIssuer(found);
    },
    async set(grant, input) {
      assertGranted(grant, actions.set);
      assertNames(grant, input);
      const written = objects.write(grant.vault.id, nameOf(grant), (was) => replaced(was, input));
      return toIssuer(await written);
    },
    async update(grant, input) {
      assertGranted(grant, actions.set);
      assertNames(grant, input);
      const name = nameOf(grant);
      const written = objects.write(grant.vault.id, name, (was) => {
        if (was === undefined) throw notFound(`Issuer ${name} not found`);
        return changed(was, input);
      });
      return toIssuer(await written);
    },
    async delete(grant) {
      assertGranted(grant, actions.delete);
      const removed = await objects.remove(grant.vault.id, nameOf(grant));
      if (removed === undefined) throw notFound('Issuer not found');
      return toIssuer(removed);
    },
    async open(vaultId, name) {
      const found = await objects.find(vaultId, name);
      if (found === undefined) return undefined;
      const { provider, accountId, password, kept } = accountOf(found);
      found.value.wipe();
      return {
        name: found.name,
        provider,
        enabled: found.enabled,
        accountId,
        password: password === undefined ? undefined : SecretBytes.fromText(password),
        organization: detailOf(found).organization,
        kept: kept === undefined ? undefined : new SecretBytes(Buffer.from(kept, 'base64')),
      };
    },
    async keep(vaultId, issuer, kept) {
      try {
        await objects.write(vaultId, issuer.name, (was) => withNewlyKept(was, issuer, kept));
      } catch (error) {
        if (!isFailure(error, 'certificateIssuerNotFound')) throw error;
      }
    },
  };
}

/** Deleted meanwhile, or with another account by now, there is nothing that it could be kept with. */
function withNewlyKept(was: OpenObject | undefined, issuer: OpenIssuer, kept: SecretBytes): ObjectState {
  if (was === undefined) throw notFound('Issuer not found');
  const account = accountOf(was);
  if (!isSameAccount(account, { ...issuer, password: issuer.password?.exposeText() }))
    throw notFound('Issuer not found');
  const text = Buffer.from(kept.exposeBytes()).toString('base64');
  return state(was.enabled, detailOf(was), { ...account, kept: text });
}

/** PUT: nothing stays of what was there but, for the same account, what its provider asked to be kept. */
function replaced(was: OpenObject | undefined, input: IssuerInput & { provider: string }): ObjectState {
  const { provider, accountId } = input;
  const organization = input.organization && mergedOrganization(undefined, input.organization);
  const password = input.password?.exposeText();
  const account = withKept({ provider, accountId, password }, was);
  return state(input.enabled ?? true, { provider, accountId, organization }, account);
}

/** PATCH: member by member. */
function changed(was: OpenObject, input: IssuerInput): ObjectState {
  const detail = detailOf(was);
  const provider = input.provider ?? detail.provider;
  const accountId = input.accountId ?? detail.accountId;
  const password = input.password?.exposeText() ?? accountOf(was).password;
  const organization = input.organization
    ? mergedOrganization(detail.organization, input.organization)
    : detail.organization;
  const account = withKept({ provider, accountId, password }, was);
  return state(input.enabled ?? was.enabled, { provider, accountId, organization }, account);
}

/** An account's key is no use with another account, and must not be shown to another authority. */
function withKept(account: Account, was: OpenObject | undefined): Account {
  if (was === undefined) return account;
  const before = accountOf(was);
  return isSameAccount(account, before) ? { ...account, kept: before.kept } : account;
}

type AccountIdentity = Pick<Account, 'provider' | 'accountId' | 'password'>;

function isSameAccount(a: AccountIdentity, b: AccountIdentity): boolean {
  return a.provider === b.provider && a.accountId === b.accountId && a.password === b.password;
}

function mergedOrganization(
  was: OrganizationDetails | undefined,
  given: NonNullable<IssuerInput['organization']>,
): OrganizationDetails {
  return { id: given.id ?? was?.id, adminDetails: given.adminDetails ?? was?.adminDetails ?? [] };
}

function state(enabled: boolean, detail: Detail, account: Account): ObjectState {
  const value = SecretBytes.fromText(JSON.stringify(account));
  return { enabled, detail: JSON.stringify(detail), value };
}

function detailOf({ detail }: SingleObject): Detail {
  return JSON.parse(detail) as Detail;
}

function accountOf({ value }: OpenObject): Account {
  return JSON.parse(value.exposeText()) as Account;
}

function toIssuer(object: SingleObject): ShownIssuer {
  const { name, enabled, created, updated } = object;
  const { provider, accountId, organization } = detailOf(object);
  return { name, provider, enabled, accountId, organization, created, updated };
}

function assertNames(grant: VaultGrant, { provider }: IssuerInput): void {
  const name = nameOf(grant);
  if (reserved.includes(name.toLowerCase()))
    throw new Failure('badParameter', `The name ${name} is reserved: no issuer can have it.`);
  if (provider !== undefined && !providerName.test(provider)) {
    const why = 'A provider is named by 1 to 64 letters, digits, blanks, dots, hyphens and underscores.';
    throw new Failure('badParameter', `Property provider has invalid value\r\n${why}`);
  }
}

function notFound(message: string): Failure {
  return new Failure('certificateIssuerNotFound', message);
}
