/** What MSAL asks before it sends a password: whether the user's domain signs in elsewhere. Here none does. */
import type { LoginCall } from './routes.ts';

/** The same for every name, so that nobody learns which exist. */
export function userRealm(call: LoginCall, user: string): object {
  const domain = user.slice(user.lastIndexOf('@') + 1).slice(0, 256);
  return {
    ver: '1.0',
    account_type: 'Managed',
    domain_name: domain,
    cloud_instance_name: new URL(call.origin).host,
    cloud_audience_urn: 'urn:federation:MicrosoftOnline',
  };
}
