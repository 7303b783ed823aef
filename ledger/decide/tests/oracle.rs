//! An evaluator that was written from the procedure's text and calls none of its code, against `decide`, over
//! generated rules, policies and requests.
//!
//! The model is small on purpose (six purposes, four actors, eight labels), so that generated rules and requests
//! meet often; closures and orders are written out by hand. Besides agreement, the properties that the
//! procedure promises: the list of an unscoped request says what asking per item says, adding a permission never
//! takes one away, the order of listing does not matter, what is withheld never permits, and alternatives
//! that name rules to end are true.

#![allow(clippy::unwrap_used)]

mod support;

use custos_decide::answer::{Ground, Step};
use custos_decide::facts::Content;
use custos_decide::matching::Ruler;
use custos_decide::request::{Request, Scope};
use custos_proof::hash::Digest;
use custos_proof::ids::{Height, LogIndex};
use custos_proof::policy::{Combining, ImplicitPolicy};
use custos_proof::sealed_values::{Answer as Outcome, InnerKind};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use support::{Scene, ask, participant, rule};

const CASES: u32 = 100_000;

// The model's universe, written out by hand.

const PURPOSES: [&str; 7] = ["TREAT", "ETREAT", "BTG", "CLINTRL", "HOPERAT", "HLEGAL", "HRESCH"];

/// What a permission and a denial for each purpose reach.
const REACH: [(&str, &[&str], &[&str]); 7] = [
    ("TREAT", &["TREAT", "ETREAT", "BTG"], &["TREAT", "ETREAT", "BTG", "CLINTRL"]),
    ("ETREAT", &["ETREAT", "BTG"], &["ETREAT", "BTG"]),
    ("BTG", &["BTG"], &["BTG"]),
    ("CLINTRL", &["CLINTRL"], &["CLINTRL"]),
    ("HOPERAT", &["HOPERAT"], &["HOPERAT", "HLEGAL"]),
    ("HLEGAL", &["HLEGAL"], &["HLEGAL"]),
    ("HRESCH", &["HRESCH"], &["HRESCH"]),
];

const ACTORS: [&str; 4] = ["Practitioner/a", "Practitioner/b", "Organization/a", "Group/er"];
const GRADES: [&str; 6] = ["U", "L", "M", "N", "R", "V"];
const SENSITIVITIES: [(&str, &[&str]); 4] =
    [("PSY", &["PSY"]), ("SUD", &["SUD", "ETHUD"]), ("ETHUD", &["ETHUD"]), ("DIA", &["DIA"])];
const CLASSES: [&str; 3] = ["14-1-d", "14-1-e", "51-1-a"];
const YEARS: [&str; 3] = ["2021", "2022", "2023"];

#[derive(Debug, Clone)]
struct Part {
    permit: Option<bool>,
    purposes: Vec<&'static str>,
    actors: Vec<&'static str>,
    labels: Vec<&'static str>,
    classes: Vec<&'static str>,
    year: Option<&'static str>,
    author: Option<&'static str>,
    valid_2026: Option<bool>,
}

#[derive(Debug, Clone)]
struct Consent {
    root: Part,
    nested: Vec<Part>,
    refused: bool,
    in_force: bool,
}

#[derive(Debug, Clone)]
struct Data {
    grade: Option<&'static str>,
    labels: Vec<&'static str>,
    class: Option<&'static str>,
    year: Option<&'static str>,
    author: Option<&'static str>,
    own: bool,
}

#[derive(Debug, Clone)]
struct World {
    consents: Vec<Consent>,
    combining: Combining,
    implicit: ImplicitPolicy,
    opt_out: Option<&'static str>,
    sealed: bool,
}

#[derive(Debug, Clone)]
struct Question {
    purpose: &'static str,
    actors: Vec<&'static str>,
    clinician: bool,
    emergency: bool,
    data: Vec<Data>,
}

// The generators.

fn part(is_root: bool) -> impl Strategy<Value = Part> {
    let effect = match is_root {
        true => any::<bool>().prop_map(Some).boxed(),
        false => weighted(0.7, any::<bool>()).boxed(),
    };
    let labels: Vec<&str> =
        GRADES.iter().copied().chain(SENSITIVITIES.iter().map(|(name, _)| *name)).collect();
    (
        effect,
        subsequence(PURPOSES.to_vec(), 0..=if is_root { 3 } else { 0 }),
        subsequence(ACTORS.to_vec(), 0..=2),
        prop_oneof![3 => Just(Vec::new()), 2 => subsequence(labels, 1..=2)],
        prop_oneof![3 => Just(Vec::new()), 1 => subsequence(CLASSES.to_vec(), 1..=2)],
        weighted(0.2, select(YEARS.to_vec())),
        weighted(0.2, select(ACTORS[..2].to_vec())),
        weighted(0.1, any::<bool>()),
    )
        .prop_map(|(permit, purposes, actors, labels, classes, year, author, valid_2026)| Part {
            permit,
            purposes,
            actors,
            labels,
            classes,
            year,
            author,
            valid_2026,
        })
}

fn consent() -> impl Strategy<Value = Consent> {
    (
        part(true),
        vec(part(false), 0..4),
        weighted(0.1, Just(())),
        weighted(0.1, Just(())),
        any::<bool>(),
        select(PURPOSES.to_vec()),
    )
        .prop_map(|(root, mut nested, refused, over, names, purpose)| {
            // A nested rule may name a purpose only within the root's: the rest is refused at intake.
            let within = root.purposes.is_empty()
                || root
                    .purposes
                    .iter()
                    .any(|whole| REACH.iter().any(|(p, _, all)| p == whole && all.contains(&purpose)));
            if let (true, true, Some(first)) = (names, within, nested.first_mut()) {
                first.purposes = vec![purpose];
            }
            // And no period outside the root's; an own period is kept only where the root has none.
            if root.valid_2026.is_some() {
                nested.iter_mut().for_each(|part| part.valid_2026 = None);
            }
            Consent { root, nested, refused: refused.is_some(), in_force: over.is_none() }
        })
}

fn data() -> impl Strategy<Value = Data> {
    (
        weighted(0.6, select(GRADES.to_vec())),
        subsequence(vec!["PSY", "SUD", "ETHUD", "DIA"], 0..=2),
        weighted(0.7, select(CLASSES.to_vec())),
        weighted(0.8, select(YEARS.to_vec())),
        weighted(0.8, select(ACTORS[..2].to_vec())),
        any::<bool>(),
    )
        .prop_map(|(grade, labels, class, year, author, own)| Data {
            grade,
            labels,
            class,
            year,
            author,
            own,
        })
}

fn world() -> impl Strategy<Value = World> {
    (
        vec(consent(), 0..5),
        select(Combining::ALL.to_vec()),
        select(ImplicitPolicy::ALL.to_vec()),
        weighted(0.15, select(vec!["primary", "primary-absolute", "secondary"])),
        weighted(0.1, Just(())),
    )
        .prop_map(|(consents, combining, implicit, opt_out, sealed)| World {
            consents,
            combining,
            implicit,
            opt_out,
            sealed: sealed.is_some(),
        })
}

fn question() -> impl Strategy<Value = Question> {
    (
        select(PURPOSES.to_vec()),
        subsequence(ACTORS.to_vec(), 1..=3),
        any::<bool>(),
        weighted(0.3, Just(())),
        vec(data(), 1..3),
    )
        .prop_map(|(purpose, actors, clinician, emergency, data)| Question {
            purpose,
            actors,
            clinician,
            emergency: emergency.is_some(),
            data,
        })
}

// The evaluator. It knows the model only.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    NotThis,
    Nothing,
}

fn rank(grade: &str) -> usize {
    GRADES.iter().position(|g| *g == grade).unwrap()
}

fn rank_of(data: &Data) -> usize {
    let protected = data.labels.iter().any(|label| ["PSY", "SUD", "ETHUD"].contains(label));
    let own = data.grade.map_or(rank("N"), rank);
    if protected { own.max(rank("R")) } else { own }
}

fn purposes_reach(purposes: &[&str], asked: &str, named_only: bool) -> bool {
    purposes.is_empty()
        || purposes.iter().any(|purpose| {
            let (_, permission, all) = REACH.iter().find(|(p, _, _)| p == purpose).unwrap();
            if named_only { permission.contains(&asked) } else { all.contains(&asked) }
        })
}

fn is_for(part: &Part, question: &Question) -> bool {
    let actors = part.actors.is_empty() || part.actors.iter().any(|actor| question.actors.contains(actor));
    actors && part.valid_2026 != Some(false)
}

fn is_about(part: &Part, permit: bool, data: &Data) -> bool {
    let label = |label: &&str| match GRADES.contains(label) {
        true if permit => rank_of(data) <= rank(label),
        true => rank_of(data) >= rank(label),
        false => {
            let (_, narrower) = SENSITIVITIES.iter().find(|(name, _)| name == label).unwrap();
            data.labels.iter().any(|held| narrower.contains(held))
        }
    };
    let class = |wanted: &&str| data.class.is_some_and(|class| class == *wanted || *wanted == "51-1-a");
    (part.labels.is_empty() || part.labels.iter().any(label))
        && (part.classes.is_empty() || part.classes.iter().any(class))
        && part.year.is_none_or(|year| data.year.map_or(!permit, |of| of == year))
        && part.author.is_none_or(|author| data.author.map_or(!permit, |by| by == author))
}

fn said(consent: &Consent, question: &Question, data: &Data) -> Said {
    let root_permits = consent.root.permit.unwrap();
    if !is_for(&consent.root, question) {
        return Said::Nothing;
    }
    let root_speaks = purposes_reach(&consent.root.purposes, question.purpose, root_permits);
    if consent.refused {
        let asked = root_speaks && root_permits && is_about(&consent.root, true, data);
        return if asked { Said::NotThis } else { Said::Nothing };
    }
    let mut yes = false;
    for part in &consent.nested {
        let permits = part.permit.unwrap_or(!root_permits);
        let inherits = match part.purposes.is_empty() {
            true => purposes_reach(&consent.root.purposes, question.purpose, permits),
            false => {
                purposes_reach(&consent.root.purposes, question.purpose, false)
                    && purposes_reach(&part.purposes, question.purpose, permits)
            }
        };
        if inherits && is_for(part, question) && is_about(part, permits, data) {
            if !permits {
                return Said::No;
            }
            yes = true;
        }
    }
    match () {
        () if yes => Said::Yes,
        () if !root_speaks => Said::Nothing,
        () if is_about(&consent.root, root_permits, data) && root_permits => Said::Yes,
        () if is_about(&consent.root, root_permits, data) => Said::No,
        () if root_permits => Said::NotThis,
        () => Said::Nothing,
    }
}

/// The answer, and whether an emergency overrode another.
fn expected(world: &World, question: &Question, data: &Data) -> (Outcome, bool) {
    let said: Vec<Said> =
        world.consents.iter().filter(|c| c.in_force).map(|consent| said(consent, question, data)).collect();
    let any = |wanted: Said| said.contains(&wanted);
    let implicit = rank_of(data) <= rank("N")
        && match world.implicit {
            ImplicitPolicy::BasicNormal => {
                question.clinician && ["TREAT", "ETREAT", "BTG"].contains(&question.purpose)
            }
            ImplicitPolicy::AllNormal => true,
            ImplicitPolicy::BreakGlassOnly | ImplicitPolicy::Deny => false,
        };
    let otherwise = !any(Said::NotThis) && implicit;
    let rules_permit = match world.combining {
        Combining::DenyOverrides => !any(Said::No) && (any(Said::Yes) || otherwise),
        Combining::PermitOverrides => any(Said::Yes) || (!any(Said::No) && otherwise),
        Combining::MostRecent => match said.iter().rev().find(|s| [Said::Yes, Said::No].contains(s)) {
            Some(last) => *last == Said::Yes,
            None => otherwise,
        },
        Combining::DenyUnlessPermit => any(Said::Yes),
        Combining::PermitUnlessDeny => !any(Said::No),
    };
    let closed = !data.own && matches!(world.opt_out, Some("primary" | "primary-absolute"));
    let overrides = question.emergency
        && question.purpose == "BTG"
        && !(closed && world.opt_out == Some("primary-absolute"));
    match (rules_permit && !closed, world.sealed) {
        (true, false) => (Outcome::Permit, false),
        _ if overrides => (Outcome::Permit, true),
        (true, true) => (Outcome::Indeterminate, false),
        (false, _) => (Outcome::Deny, false),
    }
}

// From the model to the real thing.

fn words(part: &Part) -> String {
    let mut words = match part.permit {
        Some(true) => "permit".to_owned(),
        Some(false) => "deny".to_owned(),
        None => "opposite".to_owned(),
    };
    let mut add = |name: &str, values: &[&str]| {
        if !values.is_empty() {
            words.push_str(&format!(" {name}:{}", values.join(",")));
        }
    };
    add("for", &part.purposes);
    add("to", &part.actors);
    add("label", &part.labels);
    add("class", &part.classes);
    add("authoredby", part.author.as_slice());
    let dated = part.year.map(|year| format!("{year}..{year}"));
    add("dated", dated.as_deref().as_slice());
    let valid = part.valid_2026.map(|is_now| if is_now { "2026..2026" } else { "2025..2025" });
    add("valid", valid.as_slice());
    words
}

fn put(scene: &mut Scene, consent: &Consent) {
    let text: Vec<String> = std::iter::once(&consent.root).chain(&consent.nested).map(words).collect();
    let inner = if consent.refused { InnerKind::Refuse } else { InnerKind::Grant };
    let listed = scene.put(inner, rule(&text.join(" / ")));
    listed.ended = (!consent.in_force).then_some((LogIndex(5), Height(999)));
}

fn scene(world: &World) -> Scene {
    let mut scene = Scene::default().policy(|policy| {
        policy.combining = world.combining;
        policy.implicit = world.implicit;
    });
    world.consents.iter().for_each(|consent| put(&mut scene, consent));
    if let Some(kind) = world.opt_out {
        scene = scene.opts_out(kind);
    }
    if world.sealed {
        scene.list(Content::Sealed);
    }
    scene
}

fn request(question: &Question) -> Request {
    let item = |data: &Data| {
        let mut words = format!("{} dated:{}", question.purpose, data.year.unwrap_or("unknown"));
        let labels: Vec<&str> = data.grade.iter().chain(&data.labels).copied().collect();
        if !labels.is_empty() {
            words.push_str(&format!(" label:{}", labels.join(",")));
        }
        words.extend(data.class.map(|class| format!(" class:{class}")));
        words.push_str(&data.author.map_or(" nobody".to_owned(), |author| format!(" author:{author}")));
        words.push_str(if data.own { " origin:hospital-a.example" } else { " origin:hospital-b.example" });
        match ask(&words).scope {
            Scope::Items(mut items) => items.remove(0),
            Scope::Unscoped => panic!("scoped"),
        }
    };
    let mut request = ask(&format!("{} by:{}", question.purpose, question.actors.join(",")));
    if !question.clinician {
        request.actor.standing = custos_decide::request::Standing::Staff;
    }
    if question.emergency {
        request.emergency = ask("BTG emergency").emergency;
    }
    request.actor.participant = participant("hospital-a.example");
    request.scope = Scope::Items(question.data.iter().map(item).collect());
    request
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decide_agrees_with_the_text(world in world(), question in question()) {
        let (scene, request) = (scene(&world), request(&question));
        let answer = scene.decide(&request);
        for (item, data) in answer.items.iter().zip(&question.data) {
            prop_assert_eq!((item.outcome, item.is_override), expected(&world, &question, data), "{:?}", item);
        }

        // R13: the list of an unscoped request.
        let unscoped = scene.decide(&Request { scope: Scope::Unscoped, ..request.clone() });
        let facts = scene.facts();
        let ruler = Ruler { terminology: facts.terminology, policy: facts.policy, base: &facts.base };
        let Scope::Items(items) = &request.scope else { panic!("scoped") };
        for (item, answer) in items.iter().zip(&answer.items) {
            let listed = unscoped.residual.as_ref().unwrap().answer(&ruler, item);
            prop_assert_eq!(listed, (answer.outcome, answer.is_override), "{:?}", unscoped.residual);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// R10. Exact words: no item that a rule permits is refused because the subject permits more; and what the
    /// implicit policy permits is refused only by a permission for such requests that leaves the data out.
    #[test]
    fn adding_a_permission_takes_none_away(world in world(), question in question(), mut more in consent(), at in 0usize..5) {
        more.root.permit = Some(true);
        more.nested.iter_mut().for_each(|part| part.permit = Some(true));
        more.refused = false;
        let request = request(&question);
        let before = scene(&world).decide(&request);
        let mut larger = world.clone();
        larger.consents.insert(at.min(world.consents.len()), more.clone());
        let after = scene(&larger).decide(&request);
        for ((before, after), data) in before.items.iter().zip(&after.items).zip(&question.data) {
            if before.outcome == Outcome::Permit && after.outcome != Outcome::Permit {
                prop_assert_eq!(before.ground, Ground::ImplicitPermit);
                prop_assert_eq!(after.ground, Ground::Uncovered);
                prop_assert_eq!(said(&more, &question, data), Said::NotThis);
            }
        }
    }

    /// Whatever order the trails list the rules in.
    #[test]
    fn the_order_of_listing_does_not_matter(world in world(), question in question(), seed in any::<u64>()) {
        let (scene, request) = (scene(&world), request(&question));
        let mut shuffled = support::Scene { rules: scene.rules.clone(), policy: scene.policy.clone(), ..Scene::default() };
        let length = shuffled.rules.len().max(1);
        shuffled.rules.rotate_left(usize::try_from(seed).unwrap_or(0) % length);
        if seed % 2 == 0 {
            shuffled.rules.reverse();
        }
        for request in [&request, &Request { scope: Scope::Unscoped, ..request.clone() }] {
            prop_assert_eq!(scene.decide(request).view(), shuffled.decide(request).view());
        }
    }

    /// R12: taking any opening away turns no refusal into a permission.
    #[test]
    fn what_is_withheld_never_permits(world in world(), question in question(), which in any::<prop::sample::Index>()) {
        let (mut scene, request) = (scene(&world), request(&question));
        let before = scene.decide(&request);
        if scene.rules.is_empty() {
            return Ok(());
        }
        let index = which.index(scene.rules.len());
        scene.rules[index].content = Content::Sealed;
        for (before, after) in before.items.iter().zip(&scene.decide(&request).items) {
            let newly = after.outcome == Outcome::Permit && before.outcome != Outcome::Permit;
            // An absolute opt-out that nobody can see does not bind; it is the one thing an emergency opens.
            prop_assert!(!newly || after.is_override, "{:?} {:?}", before, after);
        }
    }

    /// R14: where the answer says that the end of some rules would change it, their end changes it.
    #[test]
    fn what_would_change_the_answer_does(world in world(), question in question()) {
        let (scene, request) = (scene(&world), request(&question));
        let before = scene.decide(&request);
        for (place, item) in before.items.iter().enumerate() {
            let only_ends = |steps: &&Vec<Step>| steps.iter().all(|step| matches!(step, Step::EndRule(_)));
            for steps in item.changes.iter().filter(only_ends) {
                let mut after = support::Scene { rules: scene.rules.clone(), policy: scene.policy.clone(), ..Scene::default() };
                after.rules.retain(|listed| !steps.iter().any(|s| matches!(s, Step::EndRule(gone) if gone.item == listed.item)));
                prop_assert_ne!(after.decide(&request).items[place].outcome, item.outcome, "{:?}", steps);
            }
        }
        // No tree is empty of its pins.
        prop_assert_ne!(before.terminology, Digest::ZERO);
    }
}
