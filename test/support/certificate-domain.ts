/**
 * Certificates over a data folder of their own, built as the server builds them, with an issuer, a mail relay and a
 * clock in the test's hands, a store that lets a test act before a write, and the same certificates as another process
 * has them.
 */
import type { Action } from '../../src/authorization/actions.ts';
import {
  certificateActions,
  contactActions,
  issuerActions,
  secretActions,
} from '../../src/authorization/actions.ts';
import { systemGrant } from '../../src/authorization/grant.ts';
import type { Clock } from '../../src/core/clock.ts';
import { isFailure } from '../../src/core/errors.ts';
import { type Log, silentLog } from '../../src/core/log.ts';
import type { ObjectKind } from '../../src/core/names.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { createSoftwareProvider } from '../../src/crypto/software/provider.ts';
import { createSelfSigned, issueCertificate } from '../../src/crypto/x509/certificate-making.ts';
import { readCertificateRequest } from '../../src/crypto/x509/certificate-reading.ts';
import { createAuthorityKeys } from '../../src/domain/certificates/authority-keys.ts';
import {
  authorityProviderName,
  createAuthorityProvider,
  isAuthorityProvider,
} from '../../src/domain/certificates/authority-provider.ts';
import type { Family } from '../../src/domain/certificates/certificate-family.ts';
import {
  type OpenCertificate,
  openCertificateSize,
} from '../../src/domain/certificates/certificate-objects.ts';
import type { PolicyInput } from '../../src/domain/certificates/certificate-policy.ts';
import type { Certificates, PendingCertificates } from '../../src/domain/certificates/certificate-types.ts';
import type { CertificatesDeps } from '../../src/domain/certificates/certificates.ts';
import { createCertificates } from '../../src/domain/certificates/certificates.ts';
import { createContacts } from '../../src/domain/certificates/contacts.ts';
import type { CertificateOrder, IssuerProvider } from '../../src/domain/certificates/issuer-provider.ts';
import { createIssuers } from '../../src/domain/certificates/issuers.ts';
import type { Mailer } from '../../src/domain/certificates/notices.ts';
import { abandonOrdersOf } from '../../src/domain/certificates/ordering.ts';
import { createPendingCertificates } from '../../src/domain/certificates/pending-certificates.ts';
import {
  type DueCertificate,
  type RenewalDeps,
  runDueCertificates,
  runDueOrders,
} from '../../src/domain/certificates/renewal.ts';
import type { Vault, VaultGrant } from '../../src/domain/vaults/vault.ts';
import type { ObjectWriter } from '../../src/domain/versioned/object-store.ts';
import { createValueCache } from '../../src/domain/versioned/value-cache.ts';
import { LeaseLost } from '../../src/storage/database.ts';
import { createObjectReader, createObjectWriter } from '../../src/storage/objects.ts';
import { openTestDomain, type TestDomain } from './domain.ts';
import type { ManualClock } from './identity.ts';
import { type StoredObject, storedFamily } from './whole-certificates.ts';
import { authorityContent, makeSigner } from './x509-signers.ts';

export interface Served {
  readonly certificates: Certificates;
  readonly pending: PendingCertificates;
}

export interface CertificateDomain {
  readonly domain: TestDomain;
  readonly clock: ManualClock;
  readonly vault: Vault;
  readonly certificates: Certificates;
  readonly pending: PendingCertificates;
  /** The same certificates, changed by another process. */
  readonly elsewhere: Served;
  /** The same certificates, changed through a writer of the test's. */
  through(writer: ObjectWriter): Served;
  grant(action: Action, name: string, kind?: ObjectKind): VaultGrant;
  /** Begins a version under the policy, with `Self` as issuer unless it says another. */
  create(name: string, policy?: PolicyInput): ReturnType<Certificates['create']>;
  get(name: string, version?: string): ReturnType<Certificates['get']>;
  versionsOf(name: string): Promise<readonly string[]>;
  /** What the linked secret says to its reader. */
  secret(name: string, version?: string): Promise<string>;
  /** What is stored under the name, by kind: absent ones are undefined. */
  stored(name: string): Promise<Family<StoredObject | undefined>>;
  /** Unix seconds. */
  now(): number;
  /** What the jobs do. */
  runCertificates(options?: { writer?: ObjectWriter }): Promise<DueCertificate[]>;
  runOrders(options?: { writer?: ObjectWriter }): Promise<DueCertificate[]>;
  /** Makes an issuer object of the provider that is in the test's hands. */
  setIssuer(name: string, enabled?: boolean): Promise<void>;
  /** Makes an issuer object by which the vault's certificate of that name signs. */
  setAuthority(name: string, certificate: string): Promise<void>;
  /** What comes before the purge of the vault. */
  abandonOrders(): Promise<void>;
  setContacts(...emails: string[]): Promise<void>;
  /** Runs once, when a change has been decided on and is not written yet. */
  whileWriting(during: () => Promise<unknown>): void;
  /** What was logged as a warning or an error. */
  readonly warnings: string[];
  close(): Promise<void>;
}

export interface CertificateDomainOptions {
  /** Answers to issuer objects of the provider `Test`. */
  readonly provider?: IssuerProvider;
  readonly mailer?: Mailer;
}

export const testProvider = 'Test';

/** A policy whose certificates are made fast. */
export function quickPolicy(more: PolicyInput = {}): PolicyInput {
  return {
    issuer: { name: 'Self' },
    key: { kty: 'EC', curve: 'P-256' },
    ...more,
    x509: { subject: 'CN=quick', ...more.x509 },
  };
}

export async function openCertificateDomain(
  options: CertificateDomainOptions = {},
): Promise<CertificateDomain> {
  const domain = await openTestDomain();
  const { data, core, clock, tools } = domain;
  const vault = await domain.vault('certificates', { sku: 'premium' });
  const warnings: string[] = [];
  const warn: Log['warn'] = (message) => void warnings.push(message);
  const log: Log = { debug: () => undefined, info: () => undefined, warn, error: warn };
  let writing: (() => Promise<unknown>) | undefined;
  const watched = createObjectWriter({
    read: data.db.read,
    async write(procedure, input, fence) {
      const during = writing;
      writing = undefined;
      await during?.();
      return data.db.write(procedure, input, fence);
    },
  });
  const software = createSoftwareProvider({ log, random: tools.random });
  const values = createValueCache<OpenCertificate>(
    { clock, feed: data.db.feed },
    { sizeOf: openCertificateSize },
  );
  const build = (writer: ObjectWriter): CertificatesDeps & RenewalDeps => {
    const shared = {
      ...{ reader: createObjectReader(data.db), writer, vaultKeys: core.vaultKeys, clock },
      random: tools.random,
    };
    const keys = { providers: { software, hsm: software } };
    const issuers = createIssuers(shared);
    const authority = createAuthorityProvider({
      keys: createAuthorityKeys({ ...shared, values, keys, issuers }),
      clock,
      maxDays: 90,
    });
    return {
      ...shared,
      ...{ values, log, sealedItems: data.items, mailer: options.mailer },
      ...{ keys, issuers },
      contacts: createContacts(shared),
      providerOf: (name) =>
        isAuthorityProvider(name) ? authority : name === testProvider ? options.provider : undefined,
      hostOf: ({ name }) => `${name}.vault.example.com`,
      endsRun: (error) => isFailure(error, 'unavailable') || error instanceof LeaseLost,
    };
  };
  const deps = build(watched);
  const others = build(createObjectWriter(data.db));
  const certificates = createCertificates(deps);
  const served = (by: CertificatesDeps): Served => ({
    certificates: createCertificates(by),
    pending: createPendingCertificates(by),
  });
  const grant: CertificateDomain['grant'] = (action, name, kind = 'certificates') =>
    systemGrant(vault, action, { kind, name });
  const all = async (due: AsyncIterable<DueCertificate>) => {
    const done: DueCertificate[] = [];
    for await (const each of due) done.push(each);
    return done;
  };
  return {
    ...{ domain, clock, vault, certificates, grant, warnings },
    pending: createPendingCertificates(deps),
    elsewhere: served(others),
    through: (writer) => served(build(writer)),
    create: (name, policy = quickPolicy()) =>
      certificates.create(grant(certificateActions.create, name), { ...noChoices, policy }),
    get: (name, version) => certificates.get(grant(certificateActions.get, name), version),
    async versionsOf(name) {
      const page = { limit: 25, after: undefined };
      const { items } = await certificates.listVersions(grant(certificateActions.list, name), page);
      return items.map(({ version }) => version.version);
    },
    async secret(name, version) {
      const found = await core.secrets.get(grant(secretActions.get, name, 'secrets'), {
        version,
        outContentType: undefined,
      });
      if (found.value === undefined) throw new Error('a secret that was read has its value');
      return found.value.exposeText();
    },
    stored: (name) => storedFamily(deps.reader, vault.id, name),
    now: () => Math.floor(clock.now() / 1000),
    runCertificates: ({ writer } = {}) =>
      all(runDueCertificates(writer === undefined ? deps : build(writer), vault)),
    runOrders: ({ writer } = {}) => all(runDueOrders(writer === undefined ? deps : build(writer), vault)),
    async setIssuer(name, enabled = true) {
      const issuers = createIssuers(deps);
      const input = { provider: testProvider, enabled, ...noAccount };
      await issuers.set(grant(issuerActions.set, name), input);
    },
    async setAuthority(name, certificate) {
      const input = { ...noAccount, provider: authorityProviderName, enabled: true, accountId: certificate };
      await createIssuers(deps).set(grant(issuerActions.set, name), input);
    },
    abandonOrders: () => abandonOrdersOf(deps, vault),
    async setContacts(...emails) {
      const contacts = createContacts(deps);
      await contacts.set(
        systemGrant(vault, contactActions.manage, { kind: 'certificates', name: undefined }),
        emails.map((email) => ({ email })),
      );
    },
    whileWriting(during) {
      writing = during;
    },
    close: () => domain.close(),
  };
}

/** What a caller chooses who chooses nothing. */
export const noChoices = {
  enabled: undefined,
  tags: undefined,
  policy: undefined,
  preserveCertOrder: undefined,
};
const noAccount = { accountId: undefined, password: undefined, organization: undefined };

/** An authority outside the server, which signs what is asked for. */
export async function outsideAuthority(clock: Clock) {
  const provider = createSoftwareProvider({ log: silentLog, random: systemRandom });
  const signer = await makeSigner(provider, { type: 'EC', curve: 'P-256' });
  const day = 86_400_000;
  const root = await createSelfSigned(signer, {
    content: authorityContent(),
    notBefore: clock.now() - day,
    notAfter: clock.now() + 4000 * day,
  });
  return {
    root,
    /** The leaf for what is asked, for so many days from now, and its issuer: DER. */
    async issue(
      { request, content }: Pick<CertificateOrder, 'request' | 'content'>,
      days = 90,
    ): Promise<Uint8Array[]> {
      const { spki } = await readCertificateRequest(request);
      const times = { notBefore: clock.now() - 600_000, notAfter: clock.now() + days * day };
      const leaf = await issueCertificate(
        { signer, certificate: root },
        { content, publicKey: spki, ...times },
      );
      return [leaf, root];
    },
  };
}
