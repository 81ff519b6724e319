/** The operator's operations over the built core. */
import type { Control } from '../api/control/client.ts';
import { localControl } from '../api/control/socket.ts';
import { appServicePath, imdsPath } from '../api/login/managed-identity.ts';
import { Failure } from '../core/errors.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { fileProtection, ProtectorFailure, passphraseProtection } from '../crypto/root-key/protector.ts';
import { sealingKeyLength } from '../crypto/sealing.ts';
import { rotateRootKey } from '../domain/sealing/root-rotation.ts';
import { createRootSealedStore } from '../storage/sealing.ts';
import { verifyAuditLogs } from './audit-logs.ts';
import type { Core } from './core.ts';
import type { Data, Tools } from './data.ts';
import { readDevIdentities } from './dev-seed.ts';
import { publishTrustStore, trustStorePassword } from './published-authority.ts';
import { productVersion } from './version.ts';

/** The App Service form's shared secret, the same after every start so that a shell's variables stay good. */
export async function identityHeader(tools: Tools, data: Data): Promise<SecretBytes> {
  return data.items.getOrMake('identity-header', () =>
    SecretBytes.fromText(Buffer.from(tools.random.bytes(sealingKeyLength)).toString('base64url')),
  );
}

export function createControl(tools: Tools, data: Data, core: Core): Control {
  const { clock, random, config } = tools;
  const { identity } = core;
  return localControl({
    clock,
    random,
    audit: data.audit,
    tenant: core.tenant,
    subscription: core.subscription,
    vaults: core.vaults,
    vaultUri: core.hosts.vaultUri,
    principals: identity.principals,
    hasher: identity.hasher,
    assignments: core.assignments,
    definitions: core.roleManagement.definitions,
    addSecret: identity.addSecret,
    removeSecret: identity.removeSecret,
    rotateVaultKey: (vaultId) => core.vaultKeys.rotate(vaultId),
    rotateRootKey: () =>
      rotateRootKey({
        store: createRootSealedStore(data.db),
        rootKey: data.rootKey,
        random,
        severalNodes: config.databaseUrl !== undefined,
      }),
    protectRootKey: (passphrase) => protectRootKey(data, passphrase),
    rotateSigningKey: (revoke) => identity.keys.rotateNow({ revoke }),
    verifyAudit: () => verifyAuditLogs(tools, data),
    status: () => status(tools, data, core),
    clientEnvironment: () => clientEnvironment(tools, data, core),
  });
}

async function protectRootKey(data: Data, passphrase: string | undefined): Promise<{ protector: string }> {
  const protection =
    passphrase === undefined ? fileProtection : passphraseProtection(SecretBytes.fromText(passphrase));
  try {
    await data.rootKey.protectWith(protection);
  } catch (error) {
    if (error instanceof ProtectorFailure) throw new Failure('badParameter', error.message);
    throw error;
  }
  return { protector: data.rootKey.protector };
}

async function status(tools: Tools, data: Data, core: Core): Promise<object> {
  const { config, clock } = tools;
  return {
    version: productVersion(),
    pid: process.pid,
    serving: core.readiness.serving,
    upSeconds: Math.floor((clock.now() - core.started) / 1000),
    data: config.data,
    port: core.readiness.serving ? core.ports.port : undefined,
    localPort: core.ports.localPort,
    domain: config.domain,
    tenantId: core.tenant.id,
    subscriptionId: core.subscription.id,
    rootKey: data.rootKey.protector,
    database: config.databaseUrl === undefined ? 'SQLite' : 'PostgreSQL',
    workers: tools.worker === undefined ? 1 : config.workers,
    vaults: (await core.vaults.list()).map((vault) => ({
      name: vault.name,
      vaultUri: core.hosts.vaultUri(vault.name),
    })),
  };
}

/** What a client on this machine is told: where the server is, whom to trust, and as whom to sign in. */
async function clientEnvironment(tools: Tools, data: Data, core: Core): Promise<object> {
  const { paths } = tools.config;
  const { localPort } = core.ports;
  const local = localPort === undefined ? undefined : `http://127.0.0.1:${localPort}`;
  const dev = await readDevIdentities(data);
  await publishTrustStore(paths);
  return {
    proxy: local,
    authority: paths.authority,
    authorityBundle: paths.authorityBundle,
    trustStore: paths.trustStore,
    azureConfig: paths.azureConfig,
    trustStorePassword,
    tenantId: core.tenant.id,
    subscriptionId: core.subscription.id,
    clientId: dev?.clientId,
    clientSecret: dev?.clientSecret,
    identityEndpoint: local === undefined ? undefined : `${local}${appServicePath}`,
    imdsEndpoint: local === undefined ? undefined : `${local}${imdsPath}`,
    identityHeader: local === undefined ? undefined : (await identityHeader(tools, data)).exposeText(),
  };
}
