/** The tenant itself in Graph. */
import type { Tenant } from '../../domain/resources/directory-store.ts';
import { resourceNotFound } from './find.ts';
import type { Wire } from './lists.ts';
import { type GraphRoute, graphRoute } from './route.ts';

export const organizationRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphOrganizationGet',
    method: 'GET',
    path: '/organization',
    changes: false,
    handle: async ({ base, tenant }) => ({
      status: 200,
      body: { '@odata.context': `${base}/$metadata#organization`, value: [organizationWire(tenant)] },
    }),
  }),
  graphRoute({
    audit: 'GraphOrganizationGet',
    method: 'GET',
    path: '/organization/:id',
    changes: false,
    async handle({ base, tenant, params }) {
      if (params.id?.toLowerCase() !== tenant.id) throw resourceNotFound(params.id ?? '');
      const context = { '@odata.context': `${base}/$metadata#organization/$entity` };
      return { status: 200, body: { ...context, ...organizationWire(tenant) } };
    },
  }),
  graphRoute({
    audit: 'GraphDomainsList',
    method: 'GET',
    path: '/domains',
    changes: false,
    handle: async ({ base, tenant }) => ({
      status: 200,
      body: { '@odata.context': `${base}/$metadata#domains`, value: [domainWire(tenant)] },
    }),
  }),
  graphRoute({
    audit: 'GraphDomainsList',
    method: 'GET',
    path: '/domains/:id',
    changes: false,
    async handle({ base, tenant, params }) {
      if (params.id?.toLowerCase() !== tenant.name.toLowerCase()) throw resourceNotFound(params.id ?? '');
      return {
        status: 200,
        body: { '@odata.context': `${base}/$metadata#domains/$entity`, ...domainWire(tenant) },
      };
    },
  }),
];

function organizationWire(tenant: Tenant): Wire {
  const domain = { name: tenant.name, type: 'Managed', isDefault: true, isInitial: true, capabilities: '' };
  return {
    id: tenant.id,
    displayName: tenant.name,
    tenantType: 'AAD',
    verifiedDomains: [domain],
    technicalNotificationMails: [],
    businessPhones: [],
  };
}

function domainWire(tenant: Tenant): Wire {
  return {
    id: tenant.name,
    authenticationType: 'Managed',
    isAdminManaged: true,
    isDefault: true,
    isInitial: true,
    isRoot: true,
    isVerified: true,
    supportedServices: [],
  };
}
