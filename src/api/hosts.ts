/**
 * Which API, and which vault, a host name means. Two families of names reach the same data: the server's own under
 * its domain, and Azure's through the drop-in proxy; replies use the family that the request came in by. Nothing is
 * ever built from a Host header that is not one of these names.
 */

export type ApiName = 'vault' | 'managedhsm' | 'management' | 'login' | 'graph' | 'console';

/** What a checked host name stands for. */
export interface HostTarget {
  readonly api: ApiName;
  readonly family: 'own' | 'azure';
  /** The vault's or pool's name, lower case, for the APIs that have one. */
  readonly name: string | undefined;
  /** `:8443`, or nothing for 443: carried into identifiers and challenges. */
  readonly port: string;
  /** Host and port for identifiers. */
  readonly authority: string;
  /** `https://` and the authority. */
  readonly origin: string;
  /**
   * The audiences that a token for this API may carry, the one that the challenge names first: either family's,
   * with or without the port.
   */
  readonly audiences: readonly string[];
}

export interface Hosts {
  /** The target of a Host header or TLS server name; undefined if this server does not answer to it. */
  find(host: string): HostTarget | undefined;
  /** Names of the certificate that serves this TLS server name; undefined as above. */
  certificateNames(serverName: string): readonly string[] | undefined;
  /** The family whose API an audience names, with any port; undefined for a resource that is not ours. */
  audienceFamily(audience: string): HostTarget['family'] | undefined;
  /** Whether the drop-in proxy stands in for this name. */
  isAzureName(host: string): boolean;
  /** `https://host[:port]` of the identity service, in the target's family. */
  loginOrigin(target: HostTarget): string;
  /** The vault's base address under the server's own domain, with the listener's port. */
  vaultUri(name: string): string;
  /** `https://login.DOMAIN[:port]`: the issuer of tokens under the server's own names. */
  ownLoginOrigin(): string;
  /** The domains under which names are served, for the authority's name constraints. */
  servedNames(): { own: string; azure: readonly string[] };
}

const azureHosts: Readonly<Record<string, ApiName>> = {
  'management.azure.com': 'management',
  'login.microsoftonline.com': 'login',
  'login.microsoft.com': 'login',
  'login.windows.net': 'login',
  'sts.windows.net': 'login',
  'graph.microsoft.com': 'graph',
};

const azureSuffixes: Readonly<Record<string, ApiName>> = {
  'vault.azure.net': 'vault',
  'managedhsm.azure.net': 'managedhsm',
};

const azureAudiences: Readonly<Record<ApiName, readonly string[]>> = {
  vault: ['https://vault.azure.net'],
  managedhsm: ['https://managedhsm.azure.net'],
  management: ['https://management.azure.com', 'https://management.core.windows.net'],
  graph: ['https://graph.microsoft.com'],
  login: [],
  console: [],
};

const hostForm =
  /^(?=.{1,253}(?::|$))([a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)\.?(?::([1-9]\d{0,4}))?$/;
const rememberedHosts = 4096;

/** `domain` is the server's own, lower case; `port` tells the one that clients reach it by. */
export function createHosts(options: { domain: string; port: () => number }): Hosts {
  const { domain } = options;
  const remembered = new Map<string, HostTarget>();
  const ownHosts: Readonly<Record<string, ApiName>> = {
    [`management.${domain}`]: 'management',
    [`login.${domain}`]: 'login',
    [`graph.${domain}`]: 'graph',
    [`console.${domain}`]: 'console',
  };
  const ownSuffixes: Readonly<Record<string, ApiName>> = {
    [`vault.${domain}`]: 'vault',
    [`managedhsm.${domain}`]: 'managedhsm',
  };
  const resolve = (host: string): HostTarget | undefined => {
    const [, name, portText] = hostForm.exec(host.toLowerCase()) ?? [];
    if (name === undefined || Number(portText ?? 443) > 65535) return undefined;
    const port = portText === undefined || portText === '443' ? '' : `:${portText}`;
    const own = match(name, ownHosts, ownSuffixes);
    const found = own ?? match(name, azureHosts, azureSuffixes);
    if (found === undefined) return undefined;
    const family = own === undefined ? 'azure' : 'own';
    return {
      ...found,
      family,
      port,
      authority: `${name}${port}`,
      origin: `https://${name}${port}`,
      audiences: audiencesOf(found.api, { family, domain, port, ownPort: portSuffix(options.port()) }),
    };
  };
  const find = (host: string): HostTarget | undefined => {
    const known = remembered.get(host);
    if (known !== undefined) return known;
    const target = resolve(host);
    if (target !== undefined && remembered.size < rememberedHosts) remembered.set(host, target);
    return target;
  };
  const audienceHosts = new Map<string, HostTarget['family']>();
  for (const [api, audiences] of Object.entries(azureAudiences)) {
    audienceHosts.set(`${api}.${domain}`, 'own');
    for (const audience of audiences) audienceHosts.set(new URL(audience).hostname, 'azure');
  }
  return {
    find,
    audienceFamily(audience) {
      const url = URL.canParse(audience) ? new URL(audience) : undefined;
      // Anything but scheme, host and port would come back in a token that services compare loosely.
      if (url === undefined || !/^https:\/\/[^/?#@]+\/?$/i.test(audience)) return undefined;
      return audienceHosts.get(url.hostname);
    },
    certificateNames(serverName) {
      const target = find(serverName);
      if (target === undefined) return undefined;
      const host = target.authority;
      return target.name === undefined ? [host] : [`*${host.slice(host.indexOf('.'))}`];
    },
    isAzureName: (host) => find(host)?.family === 'azure',
    loginOrigin: (target) =>
      `https://${target.family === 'own' ? `login.${domain}` : 'login.microsoftonline.com'}${target.port}`,
    vaultUri: (name) => `https://${name}.vault.${domain}${portSuffix(options.port())}/`,
    ownLoginOrigin: () => `https://login.${domain}${portSuffix(options.port())}`,
    servedNames: () => ({
      own: domain,
      azure: [...Object.keys(azureSuffixes), ...Object.keys(azureHosts)],
    }),
  };
}

/** Azure's audience has no port, even where its name was reached by one. */
function audiencesOf(
  api: ApiName,
  at: { family: string; domain: string; port: string; ownPort: string },
): readonly string[] {
  const azure = azureAudiences[api];
  const own = [...new Set([at.port, at.ownPort, ''])].map((port) => `https://${api}.${at.domain}${port}`);
  return at.family === 'azure' ? [...azure, ...own] : [...own, ...azure];
}

function portSuffix(port: number): string {
  return port === 443 ? '' : `:${port}`;
}

function match(
  host: string,
  exact: Readonly<Record<string, ApiName>>,
  suffixes: Readonly<Record<string, ApiName>>,
): { api: ApiName; name: string | undefined } | undefined {
  const api = Object.hasOwn(exact, host) ? exact[host] : undefined;
  if (api !== undefined) return { api, name: undefined };
  const dot = host.indexOf('.');
  const suffix = host.slice(dot + 1);
  const named = dot > 0 && Object.hasOwn(suffixes, suffix) ? suffixes[suffix] : undefined;
  return named === undefined ? undefined : { api: named, name: host.slice(0, dot) };
}
