//! A custodian opens and closes trails of its subjects.

use custos_proof::kinds::trail::{Close, Open};
use custos_proof::registry::{Role, SubjectTrail};
use custos_proof::trail::TrailName;

use super::{About, Saying, refuse};
use crate::error::{AdmitError, RefusalCode};
use crate::overlay::Overlay;

pub(super) const OPEN: About = About {
    says: "A custodian opens a trail for one subject, for one grantee or the subject's own, for one year.",
    author: "a custodian",
    listed: "the subject's trail, the custodian's",
    refuses: &[
        (RefusalCode::NotAllowed, "the author has not the role custodian"),
        (RefusalCode::WrongEpoch, "the epoch is not the calendar year (UTC) of t"),
        (RefusalCode::NotAllowed, "the grantee is the author"),
        (RefusalCode::NotFound, "the grantee is not registered"),
        (RefusalCode::Exists, "the trail was opened before"),
    ],
    notes: "",
};

pub(super) const CLOSE: About = About {
    says: "No further rule is put into a trail; testimony is still recorded, and marked.",
    author: "the trail's custodian",
    listed: "the subject's trail",
    refuses: &[
        (RefusalCode::NotFound, "the trail was not opened by the author"),
        (RefusalCode::TrailClosed, "the trail is closed"),
    ],
    notes: "",
};

pub(super) fn open(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Open,
) -> Result<Vec<TrailName>, AdmitError> {
    saying.must_have(&[Role::Custodian])?;
    let year = overlay.time().year();
    if u64::from(f.epoch) != year {
        return refuse(
            RefusalCode::WrongEpoch,
            format!("a trail opened now is of epoch {year}, not {}", f.epoch),
        );
    }
    if let Some(grantee) = &f.grantee {
        if grantee == saying.id {
            return refuse(
                RefusalCode::NotAllowed,
                "the custodian's own accesses stand in the subject's own trail",
            );
        }
        if overlay.participant(grantee)?.is_none() {
            return refuse(RefusalCode::NotFound, format!("participant {grantee} is not registered"));
        }
    }
    let name = TrailName::subject(saying.id, f.local_id);
    let key = name.key();
    if overlay.subject(&key)?.is_some() {
        return refuse(RefusalCode::Exists, "this trail was opened before");
    }
    overlay.put_subject(
        &key,
        &SubjectTrail {
            custodian: saying.id.clone(),
            grantee: f.grantee.clone(),
            epoch: f.epoch,
            reader: f.reader,
            opened: overlay.height(),
            closed: None,
        },
    );
    Ok(vec![name, TrailName::institution(saying.id)])
}

pub(super) fn close(
    overlay: &mut Overlay<'_>,
    saying: &Saying<'_>,
    f: &Close,
) -> Result<Vec<TrailName>, AdmitError> {
    let name = TrailName::subject(saying.id, f.local_id);
    let key = name.key();
    let Some(mut trail) = overlay.subject(&key)? else {
        return refuse(RefusalCode::NotFound, "this trail was never opened by its author");
    };
    if trail.closed.is_some() {
        return refuse(RefusalCode::TrailClosed, "this trail is closed");
    }
    trail.closed = Some(overlay.height());
    overlay.put_subject(&key, &trail);
    Ok(vec![name])
}
