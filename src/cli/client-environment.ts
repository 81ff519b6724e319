/**
 * The environment variables that make unchanged Azure code reach this server: the proxy that stands in for Azure's
 * names, the authority to trust, and an identity, each in the form that every ecosystem reads.
 */

/** What the server tells a client on its machine. */
export interface ClientEnvironment {
  readonly proxy?: string;
  readonly authority: string;
  readonly authorityBundle: string;
  readonly trustStore: string;
  readonly trustStorePassword: string;
  readonly azureConfig: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly identityEndpoint?: string;
  readonly identityHeader?: string;
  readonly imdsEndpoint?: string;
}

/** Variables to set, and with `undefined` those to unset since they would lead elsewhere. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** `as` chooses the identity: the service principal by its secret, or the machine's managed identity. */
export function clientVariables(
  from: ClientEnvironment & { proxy: string },
  as: 'servicePrincipal' | 'managedIdentity',
  inherited: Readonly<Record<string, string | undefined>>,
): Variables {
  return {
    ...proxyVariables(from),
    ...trustVariables(from, inherited),
    ...identityVariables(from, as),
    ...terraformVariables(from, as),
    // The command line would use its sign-ins at Azure here, by the names that are the same, and send us its tokens.
    AZURE_CONFIG_DIR: inherited.AZURE_CONFIG_DIR ?? from.azureConfig,
  };
}

function proxyVariables(from: { proxy: string }): Variables {
  return {
    HTTPS_PROXY: from.proxy,
    https_proxy: from.proxy,
    // A suffix such as `localhost` would take the server's own names past the proxy (seen with Python's requests).
    NO_PROXY: '127.0.0.1,::1',
    no_proxy: '127.0.0.1,::1',
  };
}

function trustVariables(
  from: ClientEnvironment & { proxy: string },
  inherited: Readonly<Record<string, string | undefined>>,
): Variables {
  const proxy = new URL(from.proxy);
  const java = [
    `-Dhttps.proxyHost=${proxy.hostname}`,
    `-Dhttps.proxyPort=${proxy.port}`,
    // The managed identity endpoint is asked directly (Java has one list for both schemes).
    '-Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]',
    `-Djavax.net.ssl.trustStore=${from.trustStore}`,
    '-Djavax.net.ssl.trustStoreType=PKCS12',
    `-Djavax.net.ssl.trustStorePassword=${from.trustStorePassword}`,
  ];
  return {
    // Node adds this file to its own roots; the others take a bundle in place of theirs.
    NODE_EXTRA_CA_CERTS: from.authority,
    SSL_CERT_FILE: from.authorityBundle,
    REQUESTS_CA_BUNDLE: from.authorityBundle,
    CURL_CA_BUNDLE: from.authorityBundle,
    GIT_SSL_CAINFO: from.authorityBundle,
    JAVA_TOOL_OPTIONS: [inherited.JAVA_TOOL_OPTIONS, ...java].filter((part) => part !== undefined).join(' '),
  };
}

/** Variables of other sign-ins, which Azure's libraries would prefer to ours or mix with it. */
const otherSignIns: Variables = {
  AZURE_AUTHORITY_HOST: undefined,
  AZURE_CLIENT_CERTIFICATE_PATH: undefined,
  AZURE_CLIENT_CERTIFICATE_PASSWORD: undefined,
  AZURE_FEDERATED_TOKEN_FILE: undefined,
  AZURE_USERNAME: undefined,
  AZURE_PASSWORD: undefined,
  AZURE_POD_IDENTITY_AUTHORITY_HOST: undefined,
  MSI_ENDPOINT: undefined,
  MSI_SECRET: undefined,
  IMDS_ENDPOINT: undefined,
  IDENTITY_SERVER_THUMBPRINT: undefined,
};

function identityVariables(from: ClientEnvironment, as: 'servicePrincipal' | 'managedIdentity'): Variables {
  const subscription = { AZURE_SUBSCRIPTION_ID: from.subscriptionId };
  if (as === 'managedIdentity') {
    return {
      ...otherSignIns,
      ...subscription,
      AZURE_TENANT_ID: undefined,
      AZURE_CLIENT_ID: undefined,
      AZURE_CLIENT_SECRET: undefined,
      IDENTITY_ENDPOINT: from.identityEndpoint,
      IDENTITY_HEADER: from.identityHeader,
      // App Service's form of 2017, which the first libraries and the az command line know alone.
      MSI_ENDPOINT: from.identityEndpoint,
      MSI_SECRET: from.identityHeader,
    };
  }
  // A server without development identities leaves the caller's own sign-in in place.
  if (from.clientId === undefined || from.clientSecret === undefined) return subscription;
  return {
    ...otherSignIns,
    ...subscription,
    IDENTITY_ENDPOINT: undefined,
    IDENTITY_HEADER: undefined,
    AZURE_TENANT_ID: from.tenantId,
    AZURE_CLIENT_ID: from.clientId,
    AZURE_CLIENT_SECRET: from.clientSecret,
  };
}

/** Variables that would have Terraform sign in otherwise, or elsewhere. */
const otherTerraformSignIns: Variables = {
  ARM_CLIENT_ID_FILE_PATH: undefined,
  ARM_CLIENT_SECRET_FILE_PATH: undefined,
  ARM_CLIENT_CERTIFICATE: undefined,
  ARM_CLIENT_CERTIFICATE_PATH: undefined,
  ARM_CLIENT_CERTIFICATE_PASSWORD: undefined,
  ARM_USE_OIDC: undefined,
  ARM_USE_AKS_WORKLOAD_IDENTITY: undefined,
  ARM_AUXILIARY_TENANT_IDS: undefined,
  ARM_ENVIRONMENT: undefined,
  ARM_METADATA_HOSTNAME: undefined,
};

/** Terraform's azurerm provider and backend have names of their own for all of it. */
function terraformVariables(from: ClientEnvironment, as: 'servicePrincipal' | 'managedIdentity'): Variables {
  const always = {
    ARM_SUBSCRIPTION_ID: from.subscriptionId,
    // Its library waits ten seconds before it looks whether work is done, which here it is when it is answered.
    GO_AZURE_SDK_SKIP_POLLING_DELAY: 'true',
  };
  const signIn = { ...otherTerraformSignIns, ...always, ARM_TENANT_ID: from.tenantId };
  if (as === 'managedIdentity') {
    return {
      ...signIn,
      ARM_CLIENT_ID: undefined,
      ARM_CLIENT_SECRET: undefined,
      ARM_USE_MSI: 'true',
      ARM_MSI_ENDPOINT: from.imdsEndpoint,
    };
  }
  if (from.clientId === undefined || from.clientSecret === undefined) return always;
  return {
    ...signIn,
    ARM_CLIENT_ID: from.clientId,
    ARM_CLIENT_SECRET: from.clientSecret,
    ARM_USE_MSI: undefined,
    ARM_MSI_ENDPOINT: undefined,
  };
}
