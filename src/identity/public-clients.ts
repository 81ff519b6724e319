/** Microsoft's own public clients, which every tenant knows without having registered them: by id, name and redirects. */

/** A client through which users sign in and which cannot keep a secret. */
export interface PublicClient {
  readonly name: string;
  readonly redirectUris: readonly string[];
}

/** The page that desktop programs watch for in a browser of their own. */
export const nativeClientPath = '/common/oauth2/nativeclient';

const loopback = ['http://localhost', 'http://127.0.0.1'];
const desktop = [...loopback, `https://login.microsoftonline.com${nativeClientPath}`];

const wellKnown: ReadonlyMap<string, PublicClient> = new Map([
  // Also what the Azure SDKs and the Azure Developer CLI sign in as unless told otherwise.
  ['04b07795-8ddb-461a-bbee-02f9e1bf7b46', { name: 'Microsoft Azure CLI', redirectUris: desktop }],
  ['1950a258-227b-4e31-a9cf-717495945fc2', { name: 'Microsoft Azure PowerShell', redirectUris: desktop }],
  [
    '14d82eec-204b-4c2f-b7e8-296a70dab67e',
    { name: 'Microsoft Graph Command Line Tools', redirectUris: desktop },
  ],
  ['aebc6443-996d-45c2-90f0-388ff96faa56', { name: 'Visual Studio Code', redirectUris: desktop }],
  ['872cd9fa-d31f-45e0-9eab-6e460a02d1f1', { name: 'Visual Studio', redirectUris: desktop }],
]);

/** The well-known client of that id, which must be in lower case. */
export function findPublicClient(clientId: string): PublicClient | undefined {
  return wellKnown.get(clientId);
}
