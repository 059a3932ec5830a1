/** The version of this program, from its own package.json. A build has it inside. */
import manifest from "../../package.json" with { type: "json" }

export const softwareVersion: string = manifest.version
