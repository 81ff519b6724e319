/** Builds what certificates need: the objects, who issues, whom to tell, and what jobs do with them. */

import { unixSeconds } from '../core/clock.ts';
import { isFailure } from '../core/errors.ts';
import { createAuthorityKeys } from '../domain/certificates/authority-keys.ts';
import { authorityProviderName, createAuthorityProvider } from '../domain/certificates/authority-provider.ts';
import {
  type CertificateDeps,
  type OpenCertificate,
  openCertificateSize,
} from '../domain/certificates/certificate-objects.ts';
import type {
  Certificates,
  Contacts,
  Issuers,
  PendingCertificates,
} from '../domain/certificates/certificate-types.ts';
import { createCertificates } from '../domain/certificates/certificates.ts';
import { createContacts } from '../domain/certificates/contacts.ts';
import type { IssuerProvider } from '../domain/certificates/issuer-provider.ts';
import { createIssuers } from '../domain/certificates/issuers.ts';
import { abandonOrdersOf } from '../domain/certificates/ordering.ts';
import { createPendingCertificates } from '../domain/certificates/pending-certificates.ts';
import {
  type DueCertificate,
  type RenewalDeps,
  runDueCertificates,
  runDueOrders,
} from '../domain/certificates/renewal.ts';
import type { Vault, VaultRecord } from '../domain/vaults/vault.ts';
import type { Vaults } from '../domain/vaults/vaults.ts';
import { createValueCache } from '../domain/versioned/value-cache.ts';
import type { VersionedDeps } from '../domain/versioned/versioned-objects.ts';
import type { DueKind } from '../jobs/certificates.ts';
import type { Fence } from '../jobs/lease-store.ts';
import { fenced, LeaseLost } from '../storage/database.ts';
import { createObjectWriter } from '../storage/objects.ts';
import { buildAcmeProviders } from './acme.ts';
import type { Data, Tools } from './data.ts';
import { buildMailer } from './mail.ts';

export interface CertificateParts {
  readonly certificates: Certificates;
  readonly pending: PendingCertificates;
  readonly issuers: Issuers;
  readonly contacts: Contacts;
  /** Vaults that have something of the kind to do. */
  readonly vaultsWithDue: (what: DueKind) => Promise<readonly Vault[]>;
  readonly runDue: (what: DueKind, fence: Fence, vault: Vault) => AsyncIterable<DueCertificate>;
  /** For a vault that is about to be purged. */
  readonly abandonOrders: (vault: VaultRecord) => Promise<void>;
}

const storedKinds = { orders: 'pendingcertificates', certificates: 'certificates' } as const;

function endsRun(error: unknown): boolean {
  return isFailure(error, 'unavailable') || error instanceof LeaseLost;
}

export function buildCertificates(
  tools: Tools,
  data: Data,
  of: {
    objects: Omit<VersionedDeps<never>, 'values'>;
    providers: CertificateDeps['keys']['providers'];
    vaults: Vaults;
    hostOf: (vault: Vault) => string;
  },
): CertificateParts {
  const { config, clock, log, random } = tools;
  const { objects, vaults } = of;
  const values = createValueCache<OpenCertificate>(
    { clock, feed: data.db.feed },
    { sizeOf: openCertificateSize },
  );
  const certificates: CertificateDeps = { ...objects, random, values, keys: { providers: of.providers } };
  const keys = createAuthorityKeys({ ...certificates, issuers: createIssuers({ ...objects, random }) });
  const own = createAuthorityProvider({ clock, keys, maxDays: config.authority.maxDays });
  const providers: ReadonlyMap<string, IssuerProvider> = new Map([
    ...buildAcmeProviders(tools, data),
    [authorityProviderName.toLowerCase(), own],
  ]);
  const mailer = buildMailer(tools);
  const build = (writer = objects.writer) => {
    const shared = { ...objects, writer, random };
    const issuers = createIssuers(shared);
    const contacts = createContacts(shared);
    const deps: RenewalDeps = {
      ...certificates,
      writer,
      ...{ issuers, contacts, log, mailer, hostOf: of.hostOf, endsRun },
      providerOf: (name) => providers.get(name.toLowerCase()),
    };
    return { deps, issuers, contacts };
  };
  const { deps, issuers, contacts } = build();
  return {
    certificates: createCertificates({ ...deps, sealedItems: data.items }),
    pending: createPendingCertificates(deps),
    issuers,
    contacts,
    async vaultsWithDue(what) {
      const now = unixSeconds(clock.now());
      const ids = new Set(await objects.reader.vaultsWithDue(storedKinds[what], now));
      return ids.size === 0 ? [] : (await vaults.list()).filter(({ id }) => ids.has(id));
    },
    runDue(what, fence, vault) {
      const under = build(createObjectWriter(fenced(data.db, fence))).deps;
      return what === 'orders' ? runDueOrders(under, vault) : runDueCertificates(under, vault);
    },
    abandonOrders: (vault) => abandonOrdersOf(deps, vault),
  };
}
