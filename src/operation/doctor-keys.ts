import type { Destination } from "../policy/index.ts";
import { listKeys, strangenessOf, unknownAmong, unreadableOf } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import type { Finding } from "./finding.ts";
import { wrappedState } from "./key.ts";

/** Keys that nobody vouches for, and owners who could not open the repository. */
export async function keyFindings(
  context: OperationContext,
  subject: string,
  destination: Destination,
  repository: Repository,
): Promise<readonly Finding[]> {
  const listing = await listKeys(repository, context);
  const findings = listing.recorded
    ? [
        ...unknownAmong(listing).map(strangenessOf),
        ...listing.damagedRecords.map(unreadableOf),
      ].map((message) => strange(subject, message))
    : [
        strange(
          subject,
          `nobody vouches for its ${listing.keys.length} keys: none was added through Sparekeep`,
        ),
      ];
  if (destination.owners === undefined) return findings;
  if ((await wrappedState(context, repository, destination)) === "current") return findings;
  const message = "no copy of the password is wrapped for exactly the owners of the policy";
  return [...findings, { status: "warn", subject, message, fix: "Run `sparekeep key wrap`." }];
}

function strange(subject: string, message: string): Finding {
  const fix =
    "Look at `sparekeep key list`; then `key adopt` what is yours and `key remove` the rest.";
  return { status: "warn", subject, message, fix };
}
