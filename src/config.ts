/**
 * Every setting and its default. Flags come before STRONGROOM_* environment variables, those before the YAML file;
 * all is checked together before anything starts, and what is wrong is said with the setting's name.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import * as v from 'valibot';
import { parse as parseYaml } from 'yaml';
import { acmeSettings } from './config/acme.ts';
import { smtpSettings } from './config/smtp.ts';

/** Settings that cannot be used; the message names each of them. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

const portNumber = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const domainName = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(
    /^(?=.{1,200}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/,
    'It must be a domain name of at least two labels.',
  ),
);
const guid = v.pipe(v.string(), v.toLowerCase(), v.uuid());

/** An IP address or a CIDR range. */
const addressRange = v.pipe(v.string(), v.check(isRange, 'It must be an IP address or a CIDR range.'));
const rangesBy = (name: RegExp, message: string) =>
  v.optional(v.record(v.pipe(v.string(), v.regex(name, message)), v.array(addressRange)), {});

const trustedIssuer = v.strictObject({
  issuer: v.pipe(v.string(), v.url()),
  jwksUri: v.optional(v.pipe(v.string(), v.url())),
  audiences: v.optional(v.array(v.string()), []),
  tenantId: guid,
  algorithms: v.optional(v.array(v.string())),
  claims: v.optional(v.strictObject({ objectId: v.optional(v.string()), appId: v.optional(v.string()) })),
});

const schema = v.strictObject({
  /** The folder of all data. */
  data: v.optional(v.string(), '.strongroom'),
  /** The embedded default: loopback only, seeded, with the loopback listener on. */
  dev: v.optional(v.boolean(), false),
  /** IP addresses of the HTTPS listener; default: loopback with `dev`, else all. */
  listen: v.optional(
    v.array(
      v.pipe(
        v.string(),
        v.check((text) => isIP(text) !== 0, 'It must be an IP address.'),
      ),
    ),
  ),
  port: v.optional(portNumber, 8443),
  /** The port that clients see, where something forwards to ours; default: `port`. */
  publicPort: v.optional(portNumber),
  /** Port of the loopback listener; off by default but with `dev`, where it is 8081. */
  localPort: v.optional(portNumber),
  domain: v.optional(domainName, 'strongroom.localhost'),
  tlsCert: v.optional(v.string()),
  tlsKey: v.optional(v.string()),
  passphrase: v.optional(v.string()),
  passphraseFile: v.optional(v.string()),
  /** `postgres://…`: the data is there, and not in the data folder's own database. */
  databaseUrl: v.optional(v.pipe(v.string(), v.check(isPostgresUrl, 'It must begin with postgres://'))),
  /** A file that holds the URL, for one with a password in it. */
  databaseUrlFile: v.optional(v.string()),
  /** PEM file of the authorities that the database's certificate may be from; default: those of Node.js. */
  databaseTlsCa: v.optional(v.string()),
  /** Connections to the database, for each process. */
  databasePoolSize: v.optional(v.pipe(count, v.minValue(1)), 10),
  /** Processes that serve; default: one for each core, one with `dev`. */
  workers: v.optional(v.pipe(count, v.minValue(1), v.maxValue(256))),
  /** Hosts beyond Azure Key Vault's that the drop-in proxy tunnels to. */
  proxyAllow: v.optional(v.array(v.string()), []),
  logLevel: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
  auditMaxBytes: v.optional(v.pipe(count, v.minValue(4096)), 64 * 1024 * 1024),
  /** Audit files kept; all by default. */
  auditMaxFiles: v.optional(v.pipe(count, v.minValue(2))),
  /** Requests under way at once. */
  maxInFlight: v.optional(v.pipe(count, v.minValue(1)), 2000),
  /** Transactions of one vault in ten seconds; 0 for no limit. Azure's is 4000. */
  vaultTransactions: v.optional(count, 0),
  /** Milliseconds that a stopping server waits for requests under way. */
  drain: v.optional(count, 10_000),
  /**
   * What `-HSM` keys of premium vaults are made by: `software`, which `hsmPlatform` then says, or nothing (`refuse`).
   */
  hsmKeys: v.optional(v.picklist(['software', 'refuse']), 'software'),
  /** The attestation authorities that key release may ask, as https URLs; default: any with `dev`, else none. */
  attestationAuthorities: v.optional(v.array(v.pipe(v.string(), v.url(), v.startsWith('https://')))),
  trustedIssuers: v.optional(v.array(trustedIssuer), []),
  /** Certificate authorities that speak ACME, and how names are proven to them. */
  acme: v.optional(acmeSettings, {}),
  /** The authority within: what the certificates live that a certificate of the same vault signs. */
  authority: v.optional(
    v.strictObject({
      /** Days; there is no revocation but the end of a short life. */
      maxDays: v.optional(v.pipe(count, v.minValue(1), v.maxValue(3650)), 90),
    }),
    {},
  ),
  /** The relay that takes mail to the contacts of vaults; without it none is sent. */
  smtp: v.optional(smtpSettings),
  /**
   * Addresses and ranges besides the public Internet's from which the keys of federated credentials' issuers may be
   * fetched, such as those of a Kubernetes API server; default: loopback with `dev`, else none.
   */
  issuerNetworks: v.optional(v.array(addressRange)),
  /**
   * Proxies in front of the HTTPS listener, whose word counts for where a client is: their X-Forwarded-For, and with
   * `proxyProtocol` the header that they must then begin each connection with. Nobody's word counts by default.
   */
  trustedProxies: v.optional(v.array(addressRange), []),
  proxyProtocol: v.optional(v.boolean(), false),
  /** The addresses of subnets that vaults' virtual network rules name, by the subnet's resource id. */
  virtualNetworks: rangesBy(
    /^\/subscriptions\/[^/]+\/.+\/subnets\/[^/]+$/i,
    "It must be a subnet's resource id.",
  ),
  /** From where the traffic of private endpoint connections comes, by `VAULT/CONNECTION`. */
  privateEndpoints: rangesBy(/^[^/]+\/[^/]+$/, 'It must be VAULT/CONNECTION.'),
});

type Settings = v.InferOutput<typeof schema>;
type SettingName = keyof Settings;

/** The checked settings with everything decided; paths are absolute. */
export interface Config
  extends Omit<
    Settings,
    | 'listen'
    | 'localPort'
    | 'publicPort'
    | 'passphraseFile'
    | 'databaseUrl'
    | 'databaseUrlFile'
    | 'workers'
    | 'attestationAuthorities'
    | 'issuerNetworks'
  > {
  readonly passphraseFile: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly workers: number;
  readonly attestationAuthorities: 'any' | readonly string[];
  readonly issuerNetworks: readonly string[];
  readonly listen: readonly string[];
  readonly localPort: number | undefined;
  readonly publicPort: number | undefined;
  readonly paths: DataPaths;
}

/** What is where in the data folder. */
export interface DataPaths {
  readonly lock: string;
  /** Holds the id by which this folder's node is known to others of its database. */
  readonly node: string;
  readonly rootKey: string;
  readonly database: string;
  readonly audit: string;
  readonly control: string;
  /** The writer process's socket. */
  readonly writer: string;
  readonly authority: string;
  readonly authorityBundle: string;
  readonly trustStore: string;
  /** Where az and Azure's libraries keep the sign-ins that they make here. */
  readonly azureConfig: string;
}

const kinds: Readonly<Partial<Record<SettingName, 'number' | 'boolean' | 'list'>>> = {
  dev: 'boolean',
  listen: 'list',
  port: 'number',
  publicPort: 'number',
  localPort: 'number',
  proxyAllow: 'list',
  attestationAuthorities: 'list',
  issuerNetworks: 'list',
  trustedProxies: 'list',
  proxyProtocol: 'boolean',
  auditMaxBytes: 'number',
  auditMaxFiles: 'number',
  databasePoolSize: 'number',
  workers: 'number',
  maxInFlight: 'number',
  vaultTransactions: 'number',
  drain: 'number',
};

/** Settings that a file alone can hold. */
const notFromEnvironment: readonly SettingName[] = [
  'trustedIssuers',
  'acme',
  'authority',
  'smtp',
  'virtualNetworks',
  'privateEndpoints',
];

export interface ConfigSources {
  /** By setting name; numbers and lists may be text. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly configFile?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Gathers and checks the settings; throws `ConfigError` for any that cannot be used. */
export function loadConfig(sources: ConfigSources): Config {
  const environment = sources.environment ?? process.env;
  const raw: Record<string, unknown> = readFile(sources.configFile ?? environment.STRONGROOM_CONFIG);
  for (const name of Object.keys(schema.entries) as SettingName[]) {
    const variable = environmentName(name);
    const fromEnvironment = notFromEnvironment.includes(name) ? undefined : environment[variable];
    const given = sources.flags[name] ?? fromEnvironment;
    if (given !== undefined) raw[name] = typeof given === 'string' ? fromText(name, given) : given;
  }
  // One secret in two settings: the file that a flag names comes before a passphrase from elsewhere.
  if (sources.flags.passphraseFile !== undefined) delete raw.passphrase;
  const result = v.safeParse(schema, raw);
  if (!result.success) throw new ConfigError(result.issues.map(describe).join('\n'));
  return Object.freeze(decide(result.output));
}

/** `localPort` → `STRONGROOM_LOCAL_PORT`. */
function environmentName(name: string): string {
  return `STRONGROOM_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function describe(issue: v.BaseIssue<unknown>): string {
  const name = issue.path?.map((item) => String(item.key)).join('.') ?? '';
  const isSecret = name === 'passphrase' || name === 'databaseUrl';
  return `The setting '${name}' cannot be used${isSecret ? '' : `: ${issue.message}`}`;
}

function fromText(name: SettingName, text: string): unknown {
  switch (kinds[name]) {
    case 'number':
      return /^\d+$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
    case 'list':
      return text.split(',').map((item) => item.trim());
    default:
      return text;
  }
}

function readFile(path: string | undefined): Record<string, unknown> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new ConfigError(`The configuration file ${path} cannot be read.`);
  }
  try {
    const parsed: unknown = parseYaml(text);
    if (parsed === null) return {};
    if (typeof parsed === 'object' && !Array.isArray(parsed)) return { ...parsed };
  } catch {
    // The parser's message quotes lines of the file, which may hold the passphrase.
  }
  throw new ConfigError(`The configuration file ${path} is not a YAML mapping.`);
}

/** What `sun_path` holds besides its zero byte (unix(7); macOS has less room). */
const longestSocketPath = process.platform === 'darwin' ? 103 : 107;

function decide(settings: Settings): Config {
  const { listen, localPort, publicPort, passphraseFile, databaseUrlFile, attestationAuthorities, ...rest } =
    settings;
  if ((rest.tlsCert === undefined) !== (rest.tlsKey === undefined)) {
    throw new ConfigError("The settings 'tlsCert' and 'tlsKey' go together.");
  }
  if (rest.proxyProtocol && rest.trustedProxies.length === 0) {
    throw new ConfigError("The setting 'proxyProtocol' needs 'trustedProxies', who are to be believed.");
  }
  const data = resolve(rest.data);
  const paths = dataPaths(data);
  if (Buffer.byteLength(paths.control) > longestSocketPath) {
    const room = longestSocketPath - Buffer.byteLength(join('/', relative(data, paths.control)));
    throw new ConfigError(
      `The setting 'data' cannot be used: the folder's whole path is longer than ${room} bytes, which is too long for a socket in it.`,
    );
  }
  // Only looked for here: of several processes one has no use for it.
  if (passphraseFile !== undefined && rest.passphrase === undefined) assertReadable(passphraseFile);
  return {
    ...rest,
    data,
    passphraseFile: rest.passphrase === undefined ? passphraseFile : undefined,
    databaseUrl: databaseUrlFile === undefined ? rest.databaseUrl : readUrl(databaseUrlFile),
    workers: rest.workers ?? (rest.dev ? 1 : availableParallelism()),
    attestationAuthorities: attestationAuthorities ?? (rest.dev ? 'any' : []),
    issuerNetworks: rest.issuerNetworks ?? (rest.dev ? ['127.0.0.0/8', '::1/128'] : []),
    listen: listen ?? (rest.dev ? ['127.0.0.1', '::1'] : ['0.0.0.0', '::']),
    localPort: localPort ?? (rest.dev ? 8081 : undefined),
    publicPort,
    paths,
  };
}

function assertReadable(passphraseFile: string): void {
  try {
    accessSync(passphraseFile, constants.R_OK);
  } catch {
    throw new ConfigError(`The setting 'passphraseFile' names a file that cannot be read: ${passphraseFile}`);
  }
}

function readUrl(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch {
    throw new ConfigError(`The setting 'databaseUrlFile' names a file that cannot be read: ${path}`);
  }
  if (!isPostgresUrl(text)) throw new ConfigError(`The file ${path} does not hold a postgres:// URL.`);
  return text;
}

function isRange(text: string): boolean {
  const [, address = '', prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const longest = isIP(address) === 4 ? 32 : 128;
  return isIP(address) !== 0 && (prefix === undefined || Number(prefix) <= longest);
}

function isPostgresUrl(text: string): boolean {
  return /^postgres(?:ql)?:\/\//.test(text);
}

/** The passphrase of the root key, wherever it stands; undefined without one. Throws `ConfigError`. */
export function passphraseOf({ passphrase, passphraseFile }: Config): string | undefined {
  return passphrase ?? (passphraseFile === undefined ? undefined : readPassphrase(passphraseFile));
}

/** The first line of a passphrase file, without its newline; throws `ConfigError`. */
export function readPassphrase(path: string): string {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  } catch {
    throw new ConfigError(`The setting 'passphraseFile' names a file that cannot be read: ${path}`);
  }
}

function dataPaths(data: string): DataPaths {
  return {
    lock: join(data, 'lock'),
    rootKey: join(data, 'root-key.json'),
    database: join(data, 'strongroom.db'),
    audit: join(data, 'audit'),
    node: join(data, 'node-id'),
    control: join(data, 'control.sock'),
    writer: join(data, 'writer.sock'),
    authority: join(data, 'ca.pem'),
    authorityBundle: join(data, 'ca-bundle.pem'),
    trustStore: join(data, 'ca.p12'),
    azureConfig: join(data, 'azure'),
  };
}

/** What this process is to its server; a supervisor tells those that it starts. */
export type ProcessRole = 'whole' | 'writer' | { readonly slot: number };

const roleVariable = 'STRONGROOM_PROCESS';

/** The variables that tell a process its role. */
export function roleEnvironment(role: Exclude<ProcessRole, 'whole'>): Record<string, string> {
  return { [roleVariable]: role === 'writer' ? role : String(role.slot) };
}

/** The role that the supervisor gave; `whole` without one. */
export function processRole(): ProcessRole {
  const given = process.env[roleVariable];
  if (given === undefined || process.send === undefined) return 'whole';
  return given === 'writer' ? given : { slot: Number(given) };
}

/** The environment that a command started by `exec` begins with. */
export function callerEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
