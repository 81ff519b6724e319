/** Builds what serves: vaults, secrets, identity and authorization, over an open data folder. */

import type { Readiness } from '../api/health.ts';
import { createHosts, type Hosts } from '../api/hosts.ts';
import type { KnownNetworks } from '../authorization/network-rules.ts';
import { foldCase } from '../core/names.ts';
import type { SecretBytes } from '../core/secret-bytes.ts';
import type { DirectoryStore, Subscription, Tenant } from '../domain/resources/directory-store.ts';
import { openServerCertificates, type ServerCertificates } from '../domain/sealing/server-certificates.ts';
import { createVaultKeys, type VaultKeys } from '../domain/sealing/vault-keys.ts';
import { createSecrets, type Secrets } from '../domain/secrets/secrets.ts';
import { ensureDirectory } from '../domain/vaults/first-start.ts';
import { createVaults, type Vaults } from '../domain/vaults/vaults.ts';
import { purgeDue } from '../domain/versioned/due.ts';
import { createValueCache } from '../domain/versioned/value-cache.ts';
import type { Fetch } from '../identity/remote-keys.ts';
import type { Fence } from '../jobs/lease-store.ts';
import { fenced, underLocks } from '../storage/database.ts';
import { createDirectoryStore } from '../storage/directory.ts';
import { createObjectReader, createObjectWriter } from '../storage/objects.ts';
import { createVaultKeyStore } from '../storage/sealing.ts';
import { createVaultStore } from '../storage/vaults.ts';
import { buildCertificates, type CertificateParts } from './certificates.ts';
import type { Data, Tools } from './data.ts';
import { buildIdentity, type IdentityParts } from './identity.ts';
import { buildKeys, type KeyParts } from './keys.ts';
import { openedOnce } from './opened-once.ts';
import { publishAuthority } from './published-authority.ts';
import { buildRoles, type RoleParts } from './roles.ts';

/** The ports that are in use; known once the listeners have them. */
export interface Ports {
  port: number;
  localPort: number | undefined;
}

export interface Core extends RoleParts {
  readonly directory: DirectoryStore;
  readonly tenant: Tenant;
  readonly subscription: Subscription;
  readonly vaultKeys: VaultKeys;
  readonly vaults: Vaults;
  readonly secrets: Secrets;
  /** The same secrets for callers of the management plane, whom locks may refuse. */
  readonly secretsUnderLocks: Secrets;
  readonly keys: KeyParts;
  readonly certificates: CertificateParts;
  /** The server's own certificate authority and what is issued under it, opened when it is first needed. */
  readonly serverCertificates: () => Promise<ServerCertificates>;
  readonly purgeDue: (fence: Fence, vaultId: string) => Promise<number>;
  readonly identity: IdentityParts;
  readonly hosts: Hosts;
  readonly ports: Ports;
  readonly readiness: Readiness;
  readonly started: number;
}

export async function buildCore(tools: Tools, data: Data, fetch: Fetch): Promise<Core> {
  const { config, clock, random } = tools;
  const { db, items } = data;
  const { feed } = db;
  const directory = createDirectoryStore(db);
  const vaultKeys = createVaultKeys({
    store: createVaultKeyStore(db),
    rootKeys: data.rootKeys,
    feed,
    random,
  });
  const values = createValueCache<SecretBytes>({ clock, feed }, { sizeOf: (value) => value.length });
  const objects = {
    reader: createObjectReader(db),
    writer: createObjectWriter(db),
    vaultKeys,
    clock,
  };
  const ports: Ports = { port: config.port, localPort: undefined };
  const hosts = createHosts({ domain: config.domain, port: () => config.publicPort ?? ports.port });
  const roles = buildRoles(db, clock);
  const serverCertificates = openedOnce(() => openCertificates(tools, data, hosts));
  const vaults = createVaults({
    store: createVaultStore(db),
    ...{ directory, feed, vaultKeys, clock, random },
    networks: knownNetworks(config),
  });
  const keys = buildKeys(tools, data, {
    objects,
    fetch,
    certificates: serverCertificates,
    signerNames: () => ({ dnsNames: vaultNames(tools, hosts), ipAddresses: [] }),
  });
  return {
    directory,
    ...(await ensureDirectory({ store: directory, items, random })),
    vaultKeys,
    vaults,
    secrets: createSecrets({ ...objects, values, sealedItems: items, random }),
    secretsUnderLocks: createSecrets({
      ...{ ...objects, values, sealedItems: items, random },
      writer: createObjectWriter(underLocks(db)),
    }),
    serverCertificates,
    keys,
    certificates: buildCertificates(tools, data, {
      ...{ objects, vaults },
      providers: keys.providers,
      hostOf: ({ name }) => new URL(hosts.vaultUri(name)).hostname,
    }),
    purgeDue: (fence, vaultId) =>
      purgeDue({ ...objects, writer: createObjectWriter(fenced(db, fence)) }, vaultId),
    ...roles,
    identity: buildIdentity(tools, data, {
      hosts,
      fetch,
      directoryCache: roles.directoryCache,
      tenants: () => directory.tenants(),
    }),
    hosts,
    ports,
    readiness: { serving: false, draining: false },
    started: clock.now(),
  };
}

function knownNetworks({ virtualNetworks, privateEndpoints }: Tools['config']): KnownNetworks {
  const byKey = (ranges: Readonly<Record<string, readonly string[]>>) =>
    new Map(Object.entries(ranges).map(([name, of]) => [foldCase(name), of]));
  return { subnets: byKey(virtualNetworks), privateEndpoints: byKey(privateEndpoints) };
}

/** The names of every vault's host; Azure's only where this server stands in for them. */
function vaultNames({ config }: Tools, hosts: Hosts): readonly string[] {
  const azure = config.localPort === undefined ? [] : ['*.vault.azure.net'];
  return [`*.vault.${hosts.servedNames().own}`, ...azure];
}

/** Opened, and its certificate put where clients find it. */
async function openCertificates(
  { config, clock, log }: Tools,
  data: Data,
  hosts: Hosts,
): Promise<ServerCertificates> {
  const served = hosts.servedNames();
  // Only a server that stands in for Azure's names may make certificates for them.
  const azure = config.localPort === undefined ? [] : served.azure;
  const opened = await openServerCertificates(
    { items: data.items, clock, log },
    { dnsNames: [served.own, 'localhost', ...azure], ipRanges: ['127.0.0.0/8', '::1/128'] },
  );
  publishAuthority(config.paths, opened.authorityPem);
  return opened;
}
