//! What an operator does about people, as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

use super::erasing::{self, Done, ERASE};
use super::revoking::{self, REVOCATIONS, REVOCATIONS_FULL, Wanted};
use super::token;
use crate::feature::verb::Verbs;
use crate::feature::{Feature, House, Replacement, Running, Serving, ShardParts, StartError};
use crate::gate::identity::options::max_life;
use crate::gate::{ApiError, Call, Live, Outcome, Revoked, Route, Routes};
use crate::housekeeper::{self, Stop, Task};
use crate::net::Response;
use crate::plane::record::Operator;
use crate::plane::{self, OPS_BODY_MAX_BYTES, door};
use crate::settings::Settings;
use crate::store::{Error, Reader, Tx, run_chore};

/// What an operator does about people.
pub static FEATURE: Feature = Feature {
    codes: &[&REVOCATIONS_FULL],
    operator: &ROUTES,
    schema: super::MIGRATIONS,
    verbs: Some(Verbs::of::<token::Verb>()),
    ..Feature::new("people", start)
};

/// A `jti` in JSON may have six bytes for each of its characters.
const REVOKE_BODY_MAX_BYTES: usize = 2 * OPS_BODY_MAX_BYTES;

const ROUTES: [Route; 3] = [
    Route::public(&Method::GET, REVOCATIONS).does("List the revocations: by `jti`, and by user and time"),
    Route::public(&Method::POST, REVOCATIONS).taking(REVOKE_BODY_MAX_BYTES).does(
        "Revoke tokens at once, including those of open sockets; the body is `{\"jti\":\"…\",\"expires_at\":\"…\"}` \
         or `{\"user\":\"…\",\"before\":\"…\"}`; the times are optional",
    ),
    Route::public(&Method::POST, ERASE).taking(OPS_BODY_MAX_BYTES).does(
        "Erase a person from drafts, rooms and the audit log, and report what stays; the body is \
         `{\"user\":\"…\",\"dry_run\":true}`",
    ),
];

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    // Before anybody is served.
    house.revoked.replace(revoking::in_force(&house.readers.open()?)?);
    Ok(Arc::new(People {
        house: house.clone(),
        life: Live::new(max_life(settings)),
        every: settings.seconds(&housekeeper::EVERY),
    }))
}

struct People {
    house: House,
    /// The longest life of a token that is taken, if there is one.
    life: Live<Option<Duration>>,
    every: Duration,
}

impl Running for People {
    fn operator(&self, shard: &ShardParts, serving: &Arc<Serving>, routes: &mut Routes) {
        let [to_list, to_revoke, to_erase] = ROUTES;
        let (parts, life) = (shard.clone(), self.life.clone());
        routes.add(to_list, move |call| {
            plane::meant_for_us(call, "database")?;
            let life = *life.now();
            parts.read(call, move |reader| Ok(revoking::list(reader, life)?), |said| Ok(json_answer(&said)))
        });
        let (parts, life, house) = (shard.clone(), self.life.clone(), self.house.clone());
        routes.add(to_revoke, move |call| revoke(&parts, &house, *life.now(), call));
        let (parts, house, serving) = (shard.clone(), self.house.clone(), Arc::clone(serving));
        routes.add(to_erase, move |call| erase(&parts, &house, &serving, call));
    }

    fn tasks(&self, _: &Rc<Reader>) -> Vec<Task> {
        let (house, life) = (self.house.clone(), self.life.clone());
        let run = move |_: &Stop| tidy(&house, *life.now());
        vec![Task { name: "revocations", every: self.every, run: Box::new(run) }]
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (life, new) = (self.life.clone(), max_life(settings));
        Ok(Some(Box::new(move || {
            life.replace(new);
            None
        })))
    }
}

fn json_answer(value: &Value) -> Response {
    Response::json(StatusCode::OK, value.to_string().into_bytes())
}

fn revoke(parts: &ShardParts, house: &House, life: Option<Duration>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "database")?;
    plane::log_request(call, "POST");
    let wanted = Wanted::of(&door::object(call.bytes, REVOKE_BODY_MAX_BYTES)?, call.clock.now())?;
    let (operator, revoked) = (Operator::of_call(house.audit.as_ref(), call), house.revoked.clone());
    let job = move |tx: &mut Tx<'_>| {
        let said = revoking::revoke(tx, &wanted, life, &operator)?;
        put_in_force(tx, &revoked)?;
        Ok(said)
    };
    parts.change(call, job, |said: Value| Ok(json_answer(&said)))
}

fn erase(parts: &ShardParts, house: &House, serving: &Arc<Serving>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "database")?;
    plane::log_request(call, "POST");
    let wanted = erasing::Wanted::of(&door::object(call.bytes, OPS_BODY_MAX_BYTES)?)?;
    let (operator, erasers) = (Operator::of_call(house.audit.as_ref(), call), Arc::clone(&house.erasers));
    let report = erasing::Report::default();
    let (undone, serving) = (report.clone(), Arc::clone(serving));
    let job = move |tx: &mut Tx<'_>| {
        let Done { said, user, gone } = wanted.erase(tx, &erasers, &operator, &report)?;
        let serving = Arc::clone(&serving);
        tx.after_commit(move || {
            let all = serving.running.upgrade();
            all.iter().flat_map(|all| all.iter()).for_each(|running| running.erased(&user, &gone));
        });
        Ok(said)
    };
    // A dry run undoes itself by failing.
    parts.try_change(call, job, move |done| Ok(json_answer(&undone.taken().map_or(done, Ok)?)))
}

/// Has what is revoked be in force once it is on disk. All of it is made on the writer, so the last one is the newest.
fn put_in_force(tx: &mut Tx<'_>, revoked: &Revoked) -> Result<(), Error> {
    let (all, revoked) = (revoking::in_force(tx)?, revoked.clone());
    tx.after_commit(move || revoked.replace(all));
    Ok(())
}

/// Removes revocations that are over. Not while the clock is in doubt.
fn tidy(house: &House, life: Option<Duration>) {
    if house.timekeeper.look().suspect.is_some() {
        return;
    }
    let (now, revoked) = (house.timekeeper.token_time(), house.revoked.clone());
    let removed = run_chore(&house.writer, move |tx| {
        let removed = revoking::remove_over(tx, life, now)?;
        if removed > 0 {
            put_in_force(tx, &revoked)?;
        }
        Ok(removed)
    });
    match removed {
        Ok(0) => {}
        Ok(revocations) => log::info!(revocations; "revocations.removed"),
        Err(error) => log::warn!(error = error.to_string(); "revocations.removal_put_off"),
    }
}
