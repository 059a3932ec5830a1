/** Which runtimes a node runs on. */

/**
 * The oldest Node, as package.json says too (`engines`): libp2p uses what came with it, such as
 * `Promise.withResolvers`. On an older one a node would start, and then fail somewhere within.
 */
export const leastNode = 22

/** What runs this program, and whether a node can. */
export const runtimeOf = (
  versions: NodeJS.ProcessVersions
): { readonly name: string; readonly able: boolean } => {
  const deno = versions["deno"]
  if (deno !== undefined) return { name: `Deno ${deno}`, able: true }
  const able = Number(versions.node.split(".")[0]) >= leastNode
  return { name: `Node ${versions.node}`, able }
}

export const runtimeAdvice = `Skein needs Node ${leastNode} or newer. In a checkout \`npx skein\` takes the one that came with npm ci; elsewhere \`npm install node@24\` puts one beside Skein, for npx and npm scripts.`
