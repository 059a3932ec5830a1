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

/** Whether threads can share a port (`reusePort`): on Node from 22.12 and 23.1 on. */
export const sharesPorts = (versions: NodeJS.ProcessVersions): boolean => {
  if (versions["deno"] !== undefined) return true
  const [major = 0, minor = 0] = versions.node.split(".").map(Number)
  return major > 23 || (major === 23 ? minor >= 1 : major === 22 && minor >= 12)
}

export const runtimeAdvice = `Skein needs Node ${leastNode} or newer. In a checkout \`npx skein\` takes the one that came with npm ci; elsewhere \`npm install node@24\` puts one beside Skein, for npx and npm scripts.`
