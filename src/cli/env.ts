import { type Command, Option } from 'commander';
import { callerEnvironment } from '../config.ts';
import { clientVariables, type Variables } from './client-environment.ts';
import { connectServing } from './connect.ts';
import { print, printJson, shellQuoted } from './output.ts';

const shells = {
  sh: {
    set: (name: string, value: string) => `export ${name}=${shellQuoted(value)}`,
    unset: (name: string) => `unset ${name}`,
  },
  fish: {
    set: (name: string, value: string) => `set -gx ${name} ${fishQuote(value)}`,
    unset: (name: string) => `set -e ${name}`,
  },
  powershell: {
    set: (name: string, value: string) => `$env:${name} = '${value.replaceAll("'", "''")}'`,
    unset: (name: string) => `Remove-Item Env:${name} -ErrorAction SilentlyContinue`,
  },
} as const;

export function addEnvCommand(program: Command): void {
  program
    .command('env')
    .description('print the variables that `exec` sets, for a shell to read: eval "$(strongroom env)"')
    .addOption(new Option('--shell <shell>', 'whose syntax').choices(Object.keys(shells)).default('sh'))
    .option('--managed-identity', 'sign in as the managed identity instead of the service principal')
    .option('--json', 'print JSON; null stands for a variable to unset')
    .action(
      async (
        options: { shell: keyof typeof shells; managedIdentity?: boolean; json?: boolean },
        command: Command,
      ) => {
        const { environment } = await connectServing(command);
        const as = options.managedIdentity === true ? 'managedIdentity' : 'servicePrincipal';
        const variables = clientVariables(environment, as, callerEnvironment());
        if (options.json === true) printJson(withNulls(variables));
        else print(lines(variables, options.shell));
      },
    );
}

function lines(variables: Variables, shell: keyof typeof shells): string {
  const { set, unset } = shells[shell];
  return Object.entries(variables)
    .map(([name, value]) => (value === undefined ? unset(name) : set(name, value)))
    .join('\n');
}

function withNulls(variables: Variables): object {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, value ?? null]));
}

function fishQuote(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
