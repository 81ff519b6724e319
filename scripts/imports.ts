/**
 * Checks who imports whom: the folders' table, no cycles, no barrels, and where the dangerous modules and globals
 * may be used. Prints each offence as file:line and ends with exit code 1 if there is any.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

const root = join(import.meta.dirname, '..', 'src');

/** Folder → what it may import besides its own files. `x:types` allows `import type` only; `x/y` one part of x. */
const table: Readonly<Record<string, readonly string[]>> = {
  core: [],
  crypto: ['core'],
  authorization: ['core'],
  audit: ['core'],
  events: ['core'],
  identity: ['core', 'crypto'],
  domain: [
    'core',
    'crypto/algorithms.ts',
    'crypto/provider.ts',
    'crypto/sealing.ts',
    'crypto/x509',
    'crypto:types',
    'authorization/grant.ts',
    'authorization/actions.ts',
    'authorization/network-rules.ts',
    // The names of permissions, and a vault's scope: a vault's record is checked and named by them.
    'authorization/access-policies.ts',
    'authorization/authorize.ts',
    // What an ARM id names, and what is below what: locks and resources go by it as roles do.
    'authorization/scopes.ts',
    'authorization:types',
    'events',
  ],
  storage: [
    'core',
    '*-store.ts',
    'domain:types',
    'identity:types',
    'authorization:types',
    'audit:types',
    'events:types',
  ],
  jobs: ['core', 'domain', 'authorization', 'events'],
  // One certificate authority among others: it stands behind the domain's port, and knows nothing else of the domain.
  acme: ['core', 'crypto', 'domain/certificates/issuer-provider.ts'],
  // One way for letters to go out: behind the domain's port as well.
  mail: ['core', 'domain/certificates/notices.ts'],
  api: ['core', 'domain', 'identity', 'authorization', 'audit', 'events'],
  // `service.ts` is the whole server: what only talks to one that serves loads it late, or never.
  cli: ['config.ts', 'service.ts', 'service/serving-control.ts', 'service/version.ts'],
  'logging.ts': ['core'],
  'config.ts': ['config'],
  config: [],
  'main.ts': ['cli'],
};
/** The composition root: `service.ts` and the parts of it in `service/` see all but these. */
const hiddenFromService = ['console', 'cli', 'main.ts'];

/** Inside `domain`: who may import whom. */
const domainTable: Readonly<Record<string, readonly string[]>> = {
  sealing: [],
  resources: [],
  vaults: ['sealing', 'resources'],
  versioned: ['sealing', 'vaults'],
  secrets: ['sealing', 'vaults', 'versioned'],
  keys: ['sealing', 'vaults', 'versioned'],
  certificates: ['sealing', 'vaults', 'versioned', 'secrets', 'keys'],
};

/** A pattern in code (comments and texts taken out) and the files that may have it. */
const reserved: readonly { what: string; pattern: RegExp; allowed: RegExp }[] = [
  { what: 'process.env', pattern: /\bprocess\.env\b/, allowed: /^config\.ts$/ },
  { what: 'the machine clock', pattern: /\bDate\.now\(|\bnew Date\(\)/, allowed: /^core\/clock\.ts$/ },
  { what: 'a timer', pattern: /\bset(?:Timeout|Interval)\(/, allowed: /^core\/clock\.ts$/ },
  { what: 'Math.random', pattern: /\bMath\.random\b/, allowed: /^$/ },
  { what: 'a default export', pattern: /^export default\b/, allowed: /^$/ },
  { what: 'minting a grant', pattern: /\bas Grant</, allowed: /^authorization\/grant\.ts$/ },
];

/** A module and the files that may import it. */
const reservedModules: readonly { module: RegExp; allowed: RegExp }[] = [
  { module: /^node:crypto$/, allowed: /^crypto\// },
  { module: /^node:tls$/, allowed: /^(?:api\/|crypto\/x509\/|service\/published-authority\.ts$)/ },
  { module: /^node:https?$/, allowed: /^(?:api\/|acme\/http(?:s|01)\.ts$|service\/serving\.ts$)/ },
  { module: /^find-my-way$/, allowed: /^api\// },
  { module: /^(?:kysely|node:sqlite)/, allowed: /^storage\// },
  { module: /^pg$/, allowed: /^storage\// },
  { module: /^node:cluster$/, allowed: /^service\/supervisor\.ts$/ },
  { module: /^(?:koffi|@noble\/)/, allowed: /^crypto\/software\// },
  { module: /^jose$/, allowed: /^(?:identity\/|acme\/account-key\.ts$)/ },
  { module: /^dns-packet$/, allowed: /^acme\/dns\// },
  { module: /^(?:@peculiar\/x509|pkijs|asn1js|reflect-metadata)$/, allowed: /^crypto\/x509\// },
  { module: /^nodemailer/, allowed: /^mail\// },
  { module: /^commander$/, allowed: /^cli\// },
  { module: /^pino$/, allowed: /^logging\.ts$/ },
];

interface Import {
  readonly line: number;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const offences: string[] = [];
const edges = new Map<string, string[]>();

for (const file of sourceFiles(root)) checkFile(file);
for (const cycle of findCycles(edges)) offences.push(`cycle: ${cycle.join(' → ')}`);

if (offences.length > 0) {
  for (const offence of offences) console.error(offence);
  process.exit(1);
}
console.log(`imports: ${edges.size} files, no offences`);

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('test-support.ts'))
    .map((name) => name.split('\\').join('/'))
    .sort();
}

function checkFile(file: string): void {
  const source = readFileSync(join(root, file), 'utf8');
  const imports = importsOf(source);
  const local = imports.filter(({ specifier }) => specifier.startsWith('.'));
  edges.set(
    file,
    local.filter(({ typeOnly }) => !typeOnly).map(({ specifier }) => resolved(file, specifier)),
  );
  for (const entry of local) checkLocal(file, entry);
  for (const { specifier, line } of imports) {
    for (const { module, allowed } of reservedModules) {
      if (module.test(specifier) && !allowed.test(file))
        offences.push(`${file}:${line} may not import ${specifier}`);
    }
  }
  withoutComments(source)
    .split('\n')
    .forEach((text, index) => {
      for (const { what, pattern, allowed } of reserved) {
        if (pattern.test(text) && !allowed.test(file))
          offences.push(`${file}:${index + 1} may not use ${what}`);
      }
      if (/^export \* from/.test(text)) offences.push(`${file}:${index + 1} is a barrel`);
    });
}

function checkLocal(file: string, entry: Import): void {
  const target = resolved(file, entry.specifier);
  if (target.startsWith('..')) return;
  const from = folderOf(file);
  const to = folderOf(target);
  if (from === to) {
    if (from === 'domain') checkDomain(file, entry, target);
    return;
  }
  if (from === 'service.ts' || from === 'service') {
    if (hiddenFromService.includes(to)) offences.push(`${file}:${entry.line} may not import ${target}`);
    return;
  }
  const allowed = (table[from] ?? []).some((rule) => {
    const [path, types] = rule.split(':');
    if (types === 'types' && !entry.typeOnly) return false;
    if (path?.startsWith('*')) return target.endsWith(path.slice(1));
    return target === path || target.startsWith(`${path}/`);
  });
  if (!allowed)
    offences.push(`${file}:${entry.line} may not import ${target}${entry.typeOnly ? '' : ' (as a value)'}`);
}

function checkDomain(file: string, entry: Import, target: string): void {
  const [, from = ''] = file.split('/');
  const [, to = ''] = target.split('/');
  if (from === to || entry.typeOnly || (domainTable[from] ?? []).includes(to)) return;
  offences.push(`${file}:${entry.line} may not import ${target}`);
}

function folderOf(file: string): string {
  return file.split('/')[0] ?? file;
}

function resolved(file: string, specifier: string): string {
  return relative('.', normalize(join(dirname(file), specifier)))
    .split('\\')
    .join('/');
}

/** Static and dynamic imports and re-exports. `import { type A }` counts as a value unless every name is a type. */
function importsOf(source: string): Import[] {
  const found: Import[] = [];
  const text = withoutComments(source);
  const statement =
    /(?:^|\n)(?:import|export)\s+(type\s+)?([^'";]*?)\s*(?:from\s*)?'([^']+)'|\bimport\('([^']+)'\)/g;
  for (const match of text.matchAll(statement)) {
    const [, typeWord, names = '', specifier = match[4] ?? ''] = match;
    if (/^(?:const|function|class|interface|type|async|let)\b/.test(names)) continue;
    const line = text.slice(0, match.index + 1).split('\n').length;
    const braces = /^\{([^}]*)\}$/s.exec(names.trim())?.[1];
    const parts = braces
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const allTypes =
      parts !== undefined && parts.length > 0 && parts.every((name) => name.startsWith('type '));
    found.push({ line, specifier, typeOnly: typeWord !== undefined || allTypes });
  }
  return found;
}

/** Comments are blanked out, line ends kept, so that line numbers stay true. */
function withoutComments(source: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, ' ');
  return source.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(^|[\s;{(])\/\/[^\n]*/g, blank);
}

function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      cycles.push([...path.slice(start), file]);
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
