/**
 * Where the code of a node's threads is: beside the sources when they run as they are, in the build
 * as a file each. A program that is bundled has taken this code to where its own is, and has to take
 * those files there as well.
 */
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { StartError } from "./StartError.ts"

const builtFile = (name: string, here: string): URL =>
  // The build has it at dist/NAME, and this in dist/ itself or in dist/chunks/.
  new URL(/\/chunks\/[^/]+$/.test(here) ? `../${name}` : `./${name}`, here)

/** Of a request thread, which loads nothing of the mesh plane. */
export const threadFile = (here: string = import.meta.url): URL =>
  here.endsWith(".ts") ? new URL("../request/thread.ts", here) : builtFile("request.js", here)

/** Of the mesh thread of a program's node. */
export const meshFile = (here: string = import.meta.url): URL =>
  here.endsWith(".ts") ? new URL("../meshThread.ts", here) : builtFile("mesh.js", here)

/** The same when it is there. Throws a `StartError` that says what belongs where. */
export const presentMeshFile = (here: string | undefined = import.meta.url): URL => {
  const mend =
    "a program that is bundled keeps Skein's threads as files: leave the package skein out of the bundle (esbuild: --external:skein), or copy mesh.js and request.js from node_modules/skein/dist to the directory of the bundle"
  if (here === undefined) {
    const message = `where the code of the mesh thread is cannot be told, as this program is not an ES module; ${mend}`
    throw new StartError({ code: "mesh_thread_missing", message, cause: undefined })
  }
  const file = meshFile(here)
  if (file.protocol === "file:" && !existsSync(fileURLToPath(file))) {
    const message = `the code of the mesh thread is not at ${fileURLToPath(file)}; ${mend}`
    throw new StartError({ code: "mesh_thread_missing", message, cause: undefined })
  }
  return file
}
