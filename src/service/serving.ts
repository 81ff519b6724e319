/** Puts the built core on the network: certificates, listeners, control socket and jobs. */
import type { RequestListener } from 'node:http';
import { hostname } from 'node:os';
import { type ClientAddressOf, createClientAddresses } from '../api/client-address.ts';
import type { Control } from '../api/control/client.ts';
import { serveControl } from '../api/control/socket.ts';
import { serveDropInProxy } from '../api/drop-in-proxy.ts';
import { createGraphApi, type GraphApi } from '../api/graph/routes.ts';
import { createLimiter } from '../api/limits.ts';
import { type Listener, listenHttp, listenHttps } from '../api/listener.ts';
import { createLocalHandler } from '../api/local-listener.ts';
import { createLoginApi, type LoginDeps } from '../api/login/routes.ts';
import { createPipeline } from '../api/pipeline.ts';
import { createProxiedConnections } from '../api/proxy-protocol.ts';
import type { ServeDeps } from '../api/serve.ts';
import {
  type Certificates,
  certificatesFromAuthority,
  certificatesFromFiles,
  splitCertificates,
} from '../api/tls.ts';
import { createVaultRouter } from '../api/vault/router.ts';
import { vaultRoutes } from '../api/vault/routes.ts';
import { vaultScope } from '../authorization/authorize.ts';
import { purgeDueVaults } from '../domain/vaults/deleted-vaults.ts';
import type { VaultRecord } from '../domain/vaults/vault.ts';
import type { TokenValidator } from '../identity/validator.ts';
import { certificateJobs } from '../jobs/certificates.ts';
import { handoverJob } from '../jobs/handover.ts';
import { keysJob } from '../jobs/keys.ts';
import { standForLeadership } from '../jobs/leadership.ts';
import { purgeJob } from '../jobs/purge.ts';
import { purgeVaultsJob } from '../jobs/purge-vaults.ts';
import { type Job, startJobs } from '../jobs/scheduler.ts';
import { fenced } from '../storage/database.ts';
import { createLeaseStore } from '../storage/leases.ts';
import { pruneChanges } from '../storage/postgres-changes.ts';
import { createRootSealedStore } from '../storage/sealing.ts';
import { createVaultStore } from '../storage/vaults.ts';
import { listenForChallenges } from './acme.ts';
import { identityHeader } from './control.ts';
import type { Core } from './core.ts';
import { type Data, isKeeper, type Tools } from './data.ts';
import { readDevIdentities } from './dev-seed.ts';
import { signInJob } from './identity.ts';
import { buildManagement } from './management.ts';

export interface Serving {
  /** Ends what is under way and closes the listeners. */
  close(): Promise<void>;
}

/** How often every node looks whether the token signing keys are to be rotated, in milliseconds. */
const keyRotationCheck = 5 * 60_000;

export async function startServing(
  tools: Tools,
  data: Data,
  core: Core & { control: Control },
): Promise<Serving> {
  const { config, clock, log } = tools;
  const certificates = await openCertificates(tools, core);
  const listeners: Listener[] = [];
  const closers: (() => void | Promise<void>)[] = [() => certificates.close()];
  const close = async () => {
    core.readiness.draining = true;
    await Promise.all(listeners.map((listener) => listener.close(clock, config.drain)));
    for (const closer of closers.reverse()) await closer();
  };
  try {
    const proxied = config.proxyProtocol ? createProxiedConnections(clock, config.trustedProxies) : undefined;
    // The issuer's own name has the port in it, so that the pipeline is built when the listener has one.
    let pipeline: RequestListener = (_request, response) => response.writeHead(503).end();
    const listener = await listenHttps((request, response) => pipeline(request, response), certificates, {
      addresses: config.listen,
      port: config.port,
      proxied,
    });
    listeners.push(listener);
    core.ports.port = listener.port;
    const login = core.identity.createLogin();
    const limits = {
      inFlight: config.maxInFlight,
      vaultTransactions: shareOf(tools, config.vaultTransactions),
    };
    const serving = {
      ...tools,
      audit: data.audit,
      readiness: core.readiness,
      limiter: createLimiter(clock, limits),
    };
    const clientAddressOf = createClientAddresses(config.trustedProxies, proxied);
    pipeline = buildPipeline(serving, { core, data, login, clientAddressOf });
    if (config.localPort !== undefined) {
      const local = await listenLocal(tools, data, { core, login, serving });
      listeners.push(local);
      core.ports.localPort = local.port;
    }
    const challenges = isKeeper(tools) ? await listenForChallenges(tools, data) : undefined;
    if (challenges !== undefined) listeners.push(challenges);
    if (isKeeper(tools)) closers.push(await serveControl(core.control, log, config.paths.control));
    closers.push(runJobs(tools, data, core));
    core.readiness.serving = true;
    if (isKeeper(tools)) closers.push(finishVaultKeyRotations(tools, core));
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Each worker counts for itself: together they allow what one would. */
function shareOf({ config, worker }: Tools, limit: number): number {
  return worker === undefined ? limit : Math.ceil(limit / config.workers);
}

function buildPipeline(
  serving: ServeDeps,
  of: { core: Core; data: Data; login: LoginDeps; clientAddressOf: ClientAddressOf },
): RequestListener {
  const { core, data, login, clientAddressOf } = of;
  const validator = core.identity.createValidator();
  return createPipeline({
    ...serving,
    hosts: core.hosts,
    vaults: core.vaults,
    validator,
    assignments: core.assignments,
    vaultRouter: createVaultRouter(vaultRoutes(core)),
    login: createLoginApi(login),
    management: buildManagement(serving, data, { core, validator }),
    graph: buildGraph(serving, core, validator),
    async serviceOf({ objectId, tenantId }) {
      const { principal } = await core.directoryCache.entryOf(objectId);
      return principal?.tenantId === tenantId && principal.enabled ? principal.detail.firstParty : undefined;
    },
    clientAddressOf,
  });
}

function buildGraph({ clock, random }: ServeDeps, core: Core, validator: TokenValidator): GraphApi {
  const { hasher, principals, addSecret } = core.identity;
  return createGraphApi({
    ...{ clock, random, validator, hasher, addSecret },
    hosts: core.hosts,
    directory: core.directoryCache,
    store: principals,
    tenants: () => core.directory.tenants(),
  });
}

async function listenLocal(
  tools: Tools,
  data: Data,
  of: { core: Core; login: LoginDeps; serving: ServeDeps },
): Promise<Listener> {
  const { config, log } = tools;
  const { core } = of;
  const dev = await readDevIdentities(data);
  const machine = {
    tenantId: core.tenant.id,
    ...(dev === undefined ? {} : { systemAssigned: dev.managedIdentity }),
  };
  const handler = createLocalHandler({
    ...of.serving,
    managedIdentity: {
      login: of.login,
      machine,
      identityHeader: await identityHeader(tools, data),
      openToMachine: config.dev,
    },
  });
  const proxy = { hosts: core.hosts, log, port: core.ports.port, allowed: config.proxyAllow };
  const at = { addresses: ['127.0.0.1', '::1'], port: config.localPort ?? 0 };
  return listenHttp(handler, (server) => serveDropInProxy(server, proxy), at);
}

/** Completes, beside the serving, rotations of vault keys that a crash cut short; the closer waits for it. */
function finishVaultKeyRotations({ log }: Tools, core: Core): () => Promise<void> {
  const finishing = (async () => {
    for (const vault of await core.vaults.list()) {
      const moved = await core.vaultKeys.finishRotation(vault.id);
      if (moved > 0) log.info('rotation of a vault key completed', { vault: vault.name, moved });
    }
  })().catch((error: unknown) => log.error('A rotation of a vault key cannot be completed.', { error }));
  return () => finishing;
}

/** Stands for the lead and runs the jobs while it has it; the closer ends both. */
function runJobs(tools: Tools, data: Data, core: Core): () => Promise<void> {
  const { clock, log, worker } = tools;
  const holder = `${hostname()}/${process.pid}/${worker?.slot ?? 1}`;
  const deps = { store: createLeaseStore(data.db), clock, log };
  const leadership = standForLeadership(deps, { name: 'jobs', holder });
  const scheduler = startJobs({ clock, log, fence: leadership.fence }, jobs(tools, data, core));
  return async () => {
    await scheduler.stop();
    await leadership.stop();
  };
}

/** What a job does has no caller; the record says what came of it. */
function jobAudit({ clock, random }: Tools, { audit }: Data) {
  return {
    assertWritable: () => audit.assertWritable(),
    record: (vault: VaultRecord, { operationName, id }: { operationName: string; id: string }) =>
      audit.append({
        time: clock.now(),
        resourceId: vaultScope(vault),
        operationName,
        operationVersion: '',
        status: 200,
        failure: undefined,
        durationMs: 0,
        callerIpAddress: '',
        correlationId: random.guid(),
        principal: undefined,
        userAgent: '',
        requestUri: '',
        id,
      }),
  };
}

/** Which version came of an order, or of a renewal by its certificate's policy. */
function certificateAudit(
  tools: Tools,
  data: Data,
  core: Core,
): Parameters<typeof certificateJobs>[0]['audit'] {
  const { assertWritable, record } = jobAudit(tools, data);
  return {
    assertWritable,
    issued: (vault, { name, version }) =>
      record(vault, {
        operationName: 'CertificateEnroll',
        id: `${core.hosts.vaultUri(vault.name)}certificates/${name}/${version}`,
      }),
  };
}

/** Which version came of a rotation by its key's policy. */
function keyAudit(tools: Tools, data: Data, core: Core): Parameters<typeof keysJob>[0]['audit'] {
  const { assertWritable, record } = jobAudit(tools, data);
  return {
    assertWritable,
    rotated: (vault, { name, version }) =>
      record(vault, {
        operationName: 'KeyRotateIfDue',
        id: `${core.hosts.vaultUri(vault.name)}keys/${name}/${version}`,
      }),
  };
}

function purgeVaults(tools: Tools, data: Data, core: Core): Job {
  const { clock, log } = tools;
  const beforePurge = core.certificates.abandonOrders;
  const { assertWritable, record } = jobAudit(tools, data);
  return purgeVaultsJob({
    log,
    purgeDue: (fence) =>
      purgeDueVaults({ store: createVaultStore(fenced(data.db, fence)), clock, beforePurge }),
    audit: {
      assertWritable,
      purged: (vault) => record(vault, { operationName: 'VaultPurgeIfDue', id: vaultScope(vault) }),
    },
  });
}

/** Every minute: PostgreSQL's log of changes loses what every process has seen. */
function pruneJob({ db }: Data): Job {
  return {
    name: 'changes',
    every: 60_000,
    run: async (fence) => void (await db.write(pruneChanges, null, fence)),
  };
}

function jobs(tools: Tools, data: Data, core: Core): Job[] {
  const { config } = tools;
  return [
    purgeJob({ vaults: core.vaults, log: tools.log, purgeDue: core.purgeDue }),
    purgeVaults(tools, data, core),
    keysJob({
      vaults: core.vaults,
      log: tools.log,
      runDue: core.keys.runDue,
      audit: keyAudit(tools, data, core),
    }),
    ...certificateJobs({
      log: tools.log,
      vaultsWithDue: core.certificates.vaultsWithDue,
      runDue: core.certificates.runDue,
      audit: certificateAudit(tools, data, core),
    }),
    {
      name: 'signing-keys',
      every: keyRotationCheck,
      run: () => core.identity.keys.rotate(tools.clock.now()),
    },
    signInJob(tools, data),
    handoverJob({ clock: tools.clock, store: createRootSealedStore(data.db) }),
    ...(config.databaseUrl === undefined ? [] : [pruneJob(data)]),
  ];
}

async function openCertificates(tools: Tools, core: Core): Promise<Certificates> {
  const { config, clock, log } = tools;
  const { tlsCert, tlsKey } = config;
  const own =
    tlsCert === undefined || tlsKey === undefined
      ? undefined
      : certificatesFromFiles({ clock, log }, { cert: tlsCert, key: tlsKey });
  if (own !== undefined && config.localPort === undefined) return own;
  const served = core.hosts.servedNames();
  const azure = config.localPort === undefined ? [] : served.azure;
  const source = await core.serverCertificates();
  const names = { dnsNames: ['localhost', served.own], ipAddresses: ['127.0.0.1', '::1'] };
  const certificateNames = (serverName: string) =>
    azure.length === 0 && core.hosts.isAzureName(serverName)
      ? undefined
      : core.hosts.certificateNames(serverName);
  const made = certificatesFromAuthority({ clock, log, hosts: { certificateNames }, source }, names);
  return own === undefined ? made : splitCertificates(core.hosts, { own, azure: made });
}
