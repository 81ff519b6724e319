/**
 * `/metadata/endpoints`: what a client has to know of a cloud before it can sign in, without a token. It has three
 * forms: an object of four members (2015-01-01), an array of clouds, and one cloud (since 2022-09-01).
 */
import { foldCase } from '../../core/names.ts';
import type { Answer, Exchange } from '../exchange.ts';
import type { HostTarget } from '../hosts.ts';
import type { Segments } from './path.ts';

export interface Metadata {
  /** Undefined for any other path. */
  answer(exchange: Exchange, segments: Segments, target: HostTarget): Answer | undefined;
}

export const metadata: Metadata = {
  answer(exchange, segments, target) {
    if (foldCase(segments.join('/')) !== 'metadata/endpoints') return undefined;
    const method = exchange.request.method ?? 'GET';
    if (method !== 'GET' && method !== 'HEAD') return undefined;
    exchange.operation = 'MetadataEndpointsGet';
    const body = endpoints(exchange.query.get('api-version') ?? '', target);
    return { status: 200, body: JSON.stringify(body), headers: [], failure: undefined, id: undefined };
  },
};

function endpoints(version: string, target: HostTarget): object {
  if (version >= '2022') return cloudOf(target, version);
  if (version >= '2018') return [cloudOf(target, version)];
  const { gallery, graph, portal, authentication } = cloudOf(target, version);
  const { loginEndpoint, audiences } = authentication;
  return {
    galleryEndpoint: gallery,
    graphEndpoint: graph,
    portalEndpoint: portal,
    authentication: { loginEndpoint, audiences },
  };
}

function cloudOf(target: HostTarget, version: string) {
  return target.family === 'azure' ? azureCloud(target.port) : ownCloud(target, version);
}

/** Versions that the az command line alone asks for. */
const askedByAz: readonly string[] = ['2015-01-01', '2019-05-01'];

/**
 * The names under the server's own domain. `resourceManager` has no slash at its end: Terraform would ask for paths
 * with two. Services that are not here are given the management plane's name, which knows nothing of them; clients
 * want every member. az asks a public address about any tenant but `adfs`, and Terraform does not know `adfs`.
 */
function ownCloud({ authority, origin }: HostTarget, version: string) {
  const domain = authority.slice('management.'.length);
  const graph = `https://graph.${domain}`;
  const login = `https://login.${domain}`;
  return {
    portal: origin,
    authentication: {
      loginEndpoint: askedByAz.includes(version) ? `${login}/adfs` : login,
      audiences: [`${origin}/`, origin],
      tenant: 'common',
      identityProvider: 'AAD',
    },
    ...absentServices(origin),
    graph,
    graphAudience: `${graph}/`,
    microsoftGraphResourceId: `${graph}/`,
    name: 'Strongroom',
    resourceManager: origin,
    suffixes: {
      keyVaultDns: `vault.${domain}`,
      mhsmDns: `managedhsm.${domain}`,
      storage: `storage.${domain}`,
      acrLoginServer: `registry.${domain}`,
      sqlServerHostname: `sql.${domain}`,
      attestationEndpoint: `attest.${domain}`,
      synapseAnalytics: `synapse.${domain}`,
    },
  };
}

function absentServices(origin: string) {
  return {
    gallery: origin,
    media: origin,
    batch: origin,
    sqlManagement: origin,
    vmImageAliasDoc: `${origin}/alias.json`,
    activeDirectoryDataLake: origin,
    appInsightsResourceId: origin,
    appInsightsTelemetryChannelResourceId: origin,
    logAnalyticsResourceId: origin,
    attestationResourceId: origin,
    synapseAnalyticsResourceId: origin,
    ossrDbmsResourceId: origin,
  };
}

/** Azure's public cloud, as far as this server stands in for it; the services that it does not are Azure's own. */
function azureCloud(port: string) {
  const at = (host: string) => `https://${host}${port}`;
  return {
    portal: 'https://portal.azure.com',
    authentication: {
      loginEndpoint: at('login.microsoftonline.com'),
      audiences: ['https://management.core.windows.net/', 'https://management.azure.com/'],
      tenant: 'common',
      identityProvider: 'AAD',
    },
    gallery: 'https://gallery.azure.com/',
    media: 'https://rest.media.azure.net',
    batch: 'https://batch.core.windows.net/',
    graph: 'https://graph.windows.net/',
    graphAudience: 'https://graph.windows.net/',
    microsoftGraphResourceId: 'https://graph.microsoft.com/',
    name: 'AzureCloud',
    resourceManager: at('management.azure.com'),
    sqlManagement: 'https://management.core.windows.net:8443/',
    activeDirectoryDataLake: 'https://datalake.azure.net/',
    appInsightsResourceId: 'https://api.applicationinsights.io',
    logAnalyticsResourceId: 'https://api.loganalytics.io',
    attestationResourceId: 'https://attest.azure.net',
    synapseAnalyticsResourceId: 'https://dev.azuresynapse.net',
    ossrDbmsResourceId: 'https://ossrdbms-aad.database.windows.net',
    suffixes: {
      keyVaultDns: `vault.azure.net${port}`,
      mhsmDns: `managedhsm.azure.net${port}`,
      storage: 'core.windows.net',
      acrLoginServer: 'azurecr.io',
      sqlServerHostname: 'database.windows.net',
      attestationEndpoint: 'attest.azure.net',
      synapseAnalytics: 'dev.azuresynapse.net',
    },
  };
}
