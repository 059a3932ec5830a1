/**
 * libp2p sorts protocols and addresses, so that it can compare them, by the rules of a language: the first such
 * comparison of a process loads what ICU knows of them (2 MB that stay, and 2 more in memory). Code units are an
 * order as well, and the same on each host.
 */
import { readFileSync } from "node:fs"
import type { Plugin } from "esbuild"

const files =
  /[\\/]@libp2p[\\/](peer-store[\\/].*(dedupe-addresses|to-peer-pb)|peer-record[\\/].*peer-record[\\/]utils)\.js$/

const comparison = /([\w.]+(?:\(\))?)\.localeCompare\(([\w.]+(?:\(\))?)\)/g

export const plainOrder: Plugin = {
  name: "plain-order",
  setup(build) {
    build.onLoad({ filter: files }, ({ path }) => {
      const text = readFileSync(path, "utf8")
      const contents = text.replace(comparison, "($1 < $2 ? -1 : $1 > $2 ? 1 : 0)")
      if (contents === text || contents.includes("localeCompare")) {
        throw new Error(`${path} compares in another way than build/PlainOrder.ts knows`)
      }
      return { contents }
    })
  }
}
